_base_ = '../../mlrfnet_xray14.py'

_base_.model.backbone = dict(type='mmpretrain.SwinTransformer', arch='tiny', pad_small_map=True)
_base_.model.backbone.out_indices = (1, 2, 3)
_base_.model.backbone.init_cfg = dict(type='Pretrained', prefix='backbone.')
_base_.model.backbone.init_cfg.checkpoint = 'https://download.openmmlab.com/mmclassification/v0/swin-transformer/swin_tiny_224_b16x64_300e_imagenet_20210616_090925-66df6be6.pth'
_base_.model.neck.in_channels = _base_.model.head.in_channels = (192, 384, 768)
