_base_ = '../../mlrfnet_xray14.py'

_base_.model.backbone.out_indices = (3,)
_base_.model.neck = [_base_.model.neck, dict(type='mmpretrain.GlobalAveragePooling')]
_base_.model.head.update(type='mmpretrain.MultiLabelLinearClsHead', in_channels=2048)
del _base_.model.head.lam, _base_.model.head.temperature
