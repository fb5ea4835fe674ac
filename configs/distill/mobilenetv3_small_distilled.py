_base_ = 'mobilenetv3_small.py'

_base_.model.type = 'mlrfnet_mm.DistillingClassifier'
_base_.model.teacher = dict(config='mlrfnet_xray14')
_base_.model.teacher.checkpoint = 'work_dirs/mlrfnet_xray14/best_*.pth'
