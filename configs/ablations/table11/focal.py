_base_ = '../../mlrfnet_xray14.py'

_base_.model.head.loss = dict(type='mlrfnet_mm.MaskedLoss')
_base_.model.head.loss.loss = dict(type='mmpretrain.FocalLoss', gamma=2.0, alpha=0.25)
