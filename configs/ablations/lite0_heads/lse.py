_base_ = '../backbones/efficientnet_lite0.py'

_base_.model.backbone.out_indices = (4,)
_base_.model.head.update(type='mlrfnet_mm.ScoreMapHead', pool=dict(name='lse', r=10.0))
del _base_.model.head.lam, _base_.model.head.temperature
