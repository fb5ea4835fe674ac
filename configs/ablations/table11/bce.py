_base_ = '../../mlrfnet_xray14.py'

_base_.model.head.loss = dict(type='mlrfnet_mm.MaskedLoss')
_base_.model.head.loss.loss = dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True)
