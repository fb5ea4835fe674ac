"""CheXNet on ChestX-ray14: DenseNet-121, mean, linear. Faithful, but for its unpublished split.

mlrfnet train configs/zoo/chexnet.py

Source: Rajpurkar et al., CheXNet, arXiv 1711.05225 v3, 2017. 6,968,206 parameters.
From it: ImageNet weights; images brought to 224 x 224, flip; Adam, batch 16, lr 1e-3, divided by 10
when the validation loss no longer falls; best validation loss; the sum over the findings of
unweighted binary cross-entropy.
Our choice: the official split (theirs, 70/10/20 by patient, is not published); patience 1 of the
plateau; 20 epochs at most. (Theirs: mean AUC 0.8414 on their own split, not comparable.)
Expected: not run.
"""

_base_ = [
    '../_base_/models/densenet121.py',
    '../_base_/datasets/chestxray14.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]

_base_.model.head.loss.loss.loss_weight = 14.0  # sum over 14 findings: 14 times the mean

_base_.image_size = dict(scale=224, crop_size=224)  # no crop
train_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', flip=0.5),
    dict(
        type='mmpretrain.PackInputs',
        meta_keys=('img_path', 'patient_id', 'view', 'sex', 'age'),
    ),
]
_base_.train_dataloader.batch_size = 16
_base_.train_dataloader.dataset.pipeline = train_pipeline

_base_.optim_wrapper.optimizer.lr = 1e-3
_base_.auto_scale_lr.base_batch_size = 16
_base_.param_scheduler = dict(
    type='ReduceOnPlateauLR', monitor='val/loss', rule='less', factor=0.1, patience=1
)
_base_.custom_hooks = []  # all epochs
