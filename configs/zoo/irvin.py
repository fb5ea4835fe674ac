"""The CheXpert baseline of Irvin et al.: DenseNet-121 at 320, an ensemble of 30. Faithful.

mlrfnet train configs/zoo/irvin.py   # and with seeds 1 and 2, then test and mlrfnet ensemble

Source: Irvin et al., AAAI 2019, arXiv 1901.07031. 6,968,206 parameters, 5.8460 G multiply-adds.
From quotes of it: 320 x 320, Adam 1e-4 constant, batch 16, 3 epochs, a checkpoint every 4,800
iterations; three runs, the ten best of each by mean AUC of the five scored findings on validation,
30 averaged; the maximum over a study's views.
Policies: --cfg-options {train,val,test}_dataloader.dataset.policy=U-Zeros (U-Ones is set here;
U-Ignore). U-SelfTrained is a second run on a table with the first one's probabilities: not built.
U-MultiClass predicts uncertain as a class of its own: not built.
Our choice: the least loss chooses nothing: all checkpoints of every 4,800 iterations are kept, each
is tested on validation (mlrfnet test --split val), the ten best go to mlrfnet ensemble. The
protocol is held-out; theirs chose on the 200 studies (protocol=select-on-valid).
Expected: not run. (Paper: U-Ones 0.893, U-Zeros 0.889, on the 200 studies.)
"""

_base_ = [
    '../_base_/models/densenet121.py',
    '../_base_/datasets/chexpert.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]

_base_.image_size = dict(scale=320, crop_size=320)  # no crop
train_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry'),
    dict(
        type='mmpretrain.PackInputs',
        meta_keys=('img_path', 'image_id', 'patient_id', 'study_id', 'view', 'sex', 'age'),
    ),
]
_base_.train_dataloader.batch_size = 16
_base_.train_dataloader.dataset.update(policy='U-Ones', pipeline=train_pipeline)
_base_.val_dataloader.dataset.policy = 'U-Ones'
_base_.test_dataloader.dataset.policy = 'U-Ones'

_base_.auto_scale_lr.base_batch_size = 16
_base_.param_scheduler = []  # constant
_base_.train_cfg.max_epochs = 3
_base_.default_hooks.checkpoint.update(
    by_epoch=False, interval=4800, max_keep_ckpts=-1, save_best='auc/mean', rule='greater'
)
_base_.custom_hooks = []  # all epochs
