"""PCAM on CheXpert's five scored classes: DenseNet-121, PCAM pooling. Recipe partly.

mlrfnet train configs/zoo/pcam.py

Source: Ye et al., Weakly supervised lesion localization with PCAM pooling, arXiv 2005.14480, 2020,
and its code, jfhealthcare/Chexpert. The pooling is faithful. 6,958,981 parameters.
From it: 512 x 512, (x - 128) / 64; rotation by up to 15 degrees, shift and size by up to 5 %; Adam
1e-4, divided by 10 after the second of three epochs, batch 24; cross-entropy with the batch's
|N| / |P| on the positives of each class; Atelectasis and Edema U-Ones, the others U-Zeros; best
mean AUC.
Our choice: a square resize in place of kept ratio and padding; no equalized histogram and no blur;
each image once (theirs: those with Cardiomegaly or Consolidation twice); one validation for an
epoch (theirs: every 100 steps). On ChestX-ray14 they have a ResNet-34: ablations/table5/pcam.py.
Expected: not run. (Theirs: mean AUC 0.896 with PCAM, 0.895 with the mean, on their dev set.)
"""

_base_ = [
    '../_base_/datasets/chexpert.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]

model = dict(
    type='mmpretrain.ImageClassifier',
    data_preprocessor=dict(
        type='mlrfnet_mm.XrayDataPreprocessor', mean=[128.0] * 3, std=[64.0] * 3
    ),
    backbone=dict(
        type='mmpretrain.TIMMBackbone',
        model_name='densenet121',
        features_only=True,
        out_indices=(4,),
        init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint='densenet121.tv_in1k'),
    ),
    head=dict(
        type='mlrfnet_mm.ScoreMapHead',
        num_classes=5,
        in_channels=None,
        pool='pcam',
        loss=dict(type='mlrfnet_mm.BalancedBCELoss', scope='class', balance='positive'),
    ),
)

_base_.image_size = dict(scale=512, crop_size=512)
train_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', rotate=15.0, zoom=0.05, translate=0.05, pad_val=128),
    dict(
        type='mmpretrain.PackInputs',
        meta_keys=('img_path', 'image_id', 'patient_id', 'study_id', 'view', 'sex', 'age'),
    ),
]
_base_.train_dataloader.batch_size = 24
_base_.train_dataloader.dataset.update(classes='scored', pipeline=train_pipeline)
_base_.val_dataloader.dataset.classes = 'scored'
_base_.test_dataloader.dataset.classes = 'scored'

_base_.auto_scale_lr.base_batch_size = 24
_base_.param_scheduler = dict(type='MultiStepLR', milestones=[2], gamma=0.1, by_epoch=True)
_base_.train_cfg.max_epochs = 3
_base_.default_hooks.checkpoint.update(save_best='auc/mean', rule='greater')
_base_.custom_hooks = []  # all epochs
