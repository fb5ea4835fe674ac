_base_ = '../../mlrfnet_xray14.py'

_base_.model.backbone = dict(type='mmpretrain.ResNet', depth=50, out_indices=(1, 2, 3))
_base_.model.backbone.init_cfg = dict(
    type='mlrfnet_mm.TimmPretrained', checkpoint='resnet50.tv_in1k'
)
