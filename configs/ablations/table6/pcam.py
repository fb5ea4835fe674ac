_base_ = '../../mlrfnet_chexpert.py'

_base_.model.neck, _base_.model.backbone = None, dict(type='mmpretrain.ResNet', depth=34)
_base_.model.backbone.init_cfg = dict(type='mlrfnet_mm.TimmPretrained')
_base_.model.backbone.init_cfg.checkpoint = 'resnet34.tv_in1k'
_base_.model.head.update(type='mlrfnet_mm.ScoreMapHead', pool='pcam')
del _base_.model.head.lam, _base_.model.head.temperature
