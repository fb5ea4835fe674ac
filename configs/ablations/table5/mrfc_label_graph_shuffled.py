_base_ = '../../mlrfnet_xray14.py'

_base_.model.head.update(type='mlrfnet_mm.LabelGraphHead', hidden=256)
_base_.model.head.graph = 'xray14_official_train_shuffled.json'
