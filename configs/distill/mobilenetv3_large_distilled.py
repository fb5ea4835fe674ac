_base_ = '../mlrfnet_xray14.py'

_base_.model.type = 'mlrfnet_mm.DistillingClassifier'
_base_.model.teacher = dict(config='mlrfnet_xray14', checkpoint='work_dirs/teacher/best_*.pth')
_base_.model.backbone = dict(type='mmpretrain.TIMMBackbone', model_name='mobilenetv3_large_100')
_base_.model.backbone.update(features_only=True, out_indices=(2, 3, 4))
_base_.model.backbone.init_cfg = dict(type='mlrfnet_mm.TimmPretrained')
_base_.model.backbone.init_cfg.checkpoint = 'mobilenetv3_large_100.ra_in1k'
