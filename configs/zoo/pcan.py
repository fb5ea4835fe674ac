"""PCAN on CheXpert with U-Ones: DenseNet-121 to its third transition, pixel attention. Faithful.

mlrfnet train configs/zoo/pcan.py

Source: Zhu et al., Comput. Med. Imaging Graph. 102:102137, 2022; its code is for CheXpert only.
5,860,764 parameters, 3.0070 G multiply-adds at 224.
From the code: SGD 0.07, momentum 0.9, weight decay 1e-4, batch 64, 15 epochs, lr divided by 10 at
10 and 12; binary cross-entropy on the pooled probabilities; resize 256, random crop 224, flip; 14
findings, uncertain ones positive, blank ones negative; best mean AUC.
Our choice: one validation for an epoch (theirs: three); the 200 studies of valid.csv do not choose
the epoch. For their habit: --cfg-options
{train,val,test}_dataloader.dataset.protocol=select-on-valid.
Expected: not run. (Paper: mean AUC 0.895 of the five scored classes on the 200 studies; on
ChestX-ray14 0.824, with a recipe that is not published.)
"""

_base_ = [
    '../_base_/datasets/chexpert.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmpretrain.ImageClassifier',
    data_preprocessor=dict(type='mlrfnet_mm.XrayDataPreprocessor'),  # ImageNet's mean and deviation
    backbone=dict(
        type='mlrfnet_mm.TruncatedDenseNet',
        model_name='densenet121',
        init_cfg=dict(
            type='mlrfnet_mm.TimmPretrained',
            checkpoint='densenet121.tv_in1k',
            drop=('features.denseblock4', 'features.norm5'),
            new=('norm',),
        ),
    ),
    head=dict(
        type='mlrfnet_mm.PixelAttentionHead',
        num_classes=14,
        in_channels=None,
        num_heads=8,
        loss=dict(
            type='mlrfnet_mm.MaskedLoss',
            loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
        ),
    ),
)

train_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', crop='random', flip=0.5),
    dict(
        type='mmpretrain.PackInputs',
        meta_keys=('img_path', 'image_id', 'patient_id', 'study_id', 'view', 'sex', 'age'),
    ),
]
_base_.train_dataloader.batch_size = 64
_base_.train_dataloader.dataset.update(policy='U-Ones', pipeline=train_pipeline)
_base_.val_dataloader.dataset.policy = 'U-Ones'
_base_.test_dataloader.dataset.policy = 'U-Ones'

_base_.optim_wrapper.optimizer = dict(type='SGD', lr=0.07, momentum=0.9, weight_decay=1e-4)
_base_.auto_scale_lr.base_batch_size = 64
_base_.param_scheduler = dict(type='MultiStepLR', milestones=[10, 12], gamma=0.1, by_epoch=True)
_base_.train_cfg.max_epochs = 15
_base_.default_hooks.checkpoint.update(save_best='auc/mean', rule='greater')
_base_.custom_hooks = []  # all epochs
