_base_ = '../../mlrfnet_xray14.py'

_base_.model.head.update(type='mlrfnet_mm.LabelQueryHead', dim=256, hidden=1024)
del _base_.model.head.lam, _base_.model.head.temperature
