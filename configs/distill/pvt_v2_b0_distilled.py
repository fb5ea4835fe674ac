_base_ = '../mlrfnet_xray14.py'

_base_.model.type = 'mlrfnet_mm.DistillingClassifier'
_base_.model.teacher = dict(config='mlrfnet_xray14', checkpoint='work_dirs/teacher/best_*.pth')
_base_.model.backbone = dict(type='mmpretrain.TIMMBackbone', model_name='pvt_v2_b0')
_base_.model.backbone.update(features_only=True, out_indices=(1, 2, 3))
_base_.model.backbone.init_cfg = dict(type='mlrfnet_mm.TimmPretrained')
_base_.model.backbone.init_cfg.checkpoint = 'pvt_v2_b0.in1k'
