_base_ = '../../mlrfnet_xray14.py'

_base_.model.backbone = dict(type='mmpretrain.TIMMBackbone', features_only=True)
_base_.model.backbone.update(feature_cls='getter', strict_img_size=False)  # (N, C, H, W), any size
_base_.model.backbone.update(model_name='swin_tiny_patch4_window7_224', out_indices=(1, 2, 3))
_base_.model.backbone.init_cfg = dict(type='mlrfnet_mm.TimmPretrained')
_base_.model.backbone.init_cfg.checkpoint = 'swin_tiny_patch4_window7_224.ms_in1k'
