_base_ = '../../mlrfnet_xray14.py'

_base_.model.neck, _base_.model.backbone = None, dict(type='mmpretrain.TIMMBackbone')
_base_.model.backbone.update(model_name='pvt_v2_b2', features_only=True, out_indices=(3,))
_base_.model.backbone.init_cfg = dict(type='mlrfnet_mm.TimmPretrained')
_base_.model.backbone.init_cfg.checkpoint = 'pvt_v2_b2.in1k'
_base_.model.head.update(type='mlrfnet_mm.LabelQueryHead', dim=256, hidden=1024)
del _base_.model.head.lam, _base_.model.head.temperature
