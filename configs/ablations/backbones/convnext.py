_base_ = '../../mlrfnet_xray14.py'

_base_.model.backbone = dict(type='mmpretrain.ConvNeXt', arch='tiny', gap_before_final_norm=False)
_base_.model.backbone.out_indices = (1, 2, 3)
_base_.model.backbone.init_cfg = dict(type='Pretrained', prefix='backbone.')
_base_.model.backbone.init_cfg.checkpoint = 'https://download.openmmlab.com/mmclassification/v0/convnext/convnext-tiny_32xb128_in1k_20221207-998cf3e9.pth'
_base_.model.neck.in_channels = _base_.model.head.in_channels = (192, 384, 768)
