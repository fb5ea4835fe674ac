_base_ = '../backbones/efficientnet_lite0.py'

_base_.model.head.update(type='mlrfnet_mm.LabelGraphHead', graph='xray14_official_train.json')
_base_.model.head.hidden = 256
