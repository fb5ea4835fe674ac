_base_ = '../../mlrfnet_xray14.py'

_base_.model.neck, _base_.model.backbone = None, dict(type='mlrfnet_mm.PyConvResNet')
_base_.model.head.update(type='mlrfnet_mm.ScoreMapHead', pool='mean')
del _base_.model.head.lam, _base_.model.head.temperature
