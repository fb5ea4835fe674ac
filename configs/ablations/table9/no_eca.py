_base_ = '../../mlrfnet_xray14.py'

_base_.model.neck = None
