_base_ = '../../mlrfnet_xray14.py'

_base_.model.head = dict(type='mlrfnet_mm.LabelCoupling', head=_base_.model.head)
