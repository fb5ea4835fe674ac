_base_ = '../../mlrfnet_xray14.py'

_base_.model.backbone.out_indices = (3,)
_base_.model.head.update(type='mmpretrain.CSRAClsHead', in_channels=2048, num_heads=1, lam=0.1)
del _base_.model.head.temperature
