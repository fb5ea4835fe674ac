_base_ = '../../mlrfnet_xray14.py'

_base_.model.backbone = dict(type='mmpretrain.ResNet', depth=50)
_base_.model.backbone.init_cfg = dict(type='mlrfnet_mm.TimmPretrained')
_base_.model.backbone.init_cfg.checkpoint = 'resnet50.tv_in1k'
_base_.model.neck = dict(type='mlrfnet_mm.LSEPooling', r=10.0)
_base_.model.head.update(type='mmpretrain.MultiLabelLinearClsHead', in_channels=2048)
del _base_.model.head.lam, _base_.model.head.temperature
