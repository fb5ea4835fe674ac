_base_ = '../../mlrfnet_xray14.py'

_base_.model.backbone = dict(type='mmpretrain.TIMMBackbone', model_name='convnext_tiny')
_base_.model.backbone.update(features_only=True, out_indices=(1, 2, 3))
_base_.model.backbone.init_cfg = dict(type='mlrfnet_mm.TimmPretrained')
_base_.model.backbone.init_cfg.checkpoint = 'convnext_tiny.fb_in1k'
