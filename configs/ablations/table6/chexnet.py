_base_ = '../../mlrfnet_chexpert.py'

_base_.model.neck, _base_.model.backbone = None, dict(type='mmpretrain.TIMMBackbone')
_base_.model.backbone.update(model_name='densenet121', features_only=True, out_indices=(4,))
_base_.model.backbone.init_cfg = dict(type='mlrfnet_mm.TimmPretrained')
_base_.model.backbone.init_cfg.checkpoint = 'densenet121.tv_in1k'
_base_.model.head.update(type='mlrfnet_mm.ScoreMapHead', pool='mean')
del _base_.model.head.lam, _base_.model.head.temperature
