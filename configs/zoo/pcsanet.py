"""PCSANet on ChestX-ray14: PyConvResNet-50 with shuffle attention, mean, linear. Faithful.

mlrfnet train configs/zoo/pcsanet.py

Source: Chen, Wang, Zhang, IEEE Access 10:85571-85581, 2022, and its code. 22,828,114 parameters,
3.8585 G multiply-adds at 224.
From the code: binary cross-entropy; flip, rotation by up to 10 degrees, 256 brought to 224 by a
center crop in training too; Adam 1e-3, weight decay 1e-5, batch 64, up to 121 epochs, lr divided by
10 every 30; least validation loss, no early stop; seed 33; random weights, which is its default.
Its published weights of ResNet-50 cannot be loaded: 4 of 287 common tensors differ in shape.
The protocol is chexnet's. Expected: not run. (Paper: mean AUC 0.825, chexnet.)
"""

_base_ = [
    '../_base_/datasets/chestxray14.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmpretrain.ImageClassifier',
    data_preprocessor=dict(type='mlrfnet_mm.XrayDataPreprocessor'),  # ImageNet's mean and deviation
    backbone=dict(type='mlrfnet_mm.PyConvResNet', depth=50, shuffle_attention=True),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(
        type='mmpretrain.MultiLabelLinearClsHead',
        num_classes=14,
        in_channels=2048,
        loss=dict(
            type='mlrfnet_mm.MaskedLoss',
            loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
        ),
    ),
)

train_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', flip=0.5, rotate=10.0),
    dict(
        type='mmpretrain.PackInputs',
        meta_keys=('img_path', 'patient_id', 'view', 'sex', 'age'),
    ),
]
_base_.train_dataloader.batch_size = 64
_base_.train_dataloader.dataset.update(protocol='chexnet', pipeline=train_pipeline)
_base_.val_dataloader.dataset.protocol = 'chexnet'
_base_.test_dataloader.dataset.protocol = 'chexnet'

_base_.optim_wrapper.optimizer = dict(type='Adam', lr=1e-3, weight_decay=1e-5)
_base_.auto_scale_lr.base_batch_size = 64
_base_.param_scheduler = dict(type='StepLR', step_size=30, gamma=0.1, by_epoch=True)
_base_.train_cfg.max_epochs = 121
_base_.custom_hooks = []  # all epochs
_base_.randomness.seed = 33
