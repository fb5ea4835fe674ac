_base_ = '../../mlrfnet_xray14.py'

_base_.model.backbone = dict(type='mmpretrain.EfficientNet', arch='b0', out_indices=(3, 4, 5))
_base_.model.backbone.init_cfg = dict(type='Pretrained', prefix='backbone.')
_base_.model.backbone.init_cfg.checkpoint = 'https://download.openmmlab.com/mmclassification/v0/efficientnet/efficientnet-b0_3rdparty_8xb32_in1k_20220119-a7e2a0b1.pth'
_base_.model.neck.in_channels = _base_.model.head.in_channels = (40, 112, 320)
