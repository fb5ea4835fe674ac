_base_ = '../../mlrfnet_chexpert.py'

_base_.model.neck, _base_.model.backbone = None, dict(type='mlrfnet_mm.TruncatedDenseNet')
_base_.model.backbone.init_cfg = dict(type='mlrfnet_mm.TimmPretrained', new=('norm',))
_base_.model.backbone.init_cfg.checkpoint = 'densenet121.tv_in1k'
_base_.model.backbone.init_cfg.drop = ('features.denseblock4', 'features.norm5')
_base_.model.head.update(type='mlrfnet_mm.PixelAttentionHead')
del _base_.model.head.lam, _base_.model.head.temperature
