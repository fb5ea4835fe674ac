"""Labels given their parents, and smoothed uncertain ones: Pham et al. on CheXpert. Partly.

mlrfnet train configs/zoo/pham.py

Source: Pham et al., Neurocomputing 437:186-194, 2021, arXiv 1911.06475. No official code.
6,968,206 parameters.
From it: a tree of the labels; phase 1 learns each label among images whose parents are positive,
phase 2 all labels by the product along the path; uncertain labels drawn from 0.55 to 0.85 (ones).
This config is phase 1. Phase 2: load_from its checkpoint, and --cfg-options
model.head.loss_on=products {train,val}_dataloader.dataset.tree=up
optim_wrapper.paramwise_cfg.custom_keys.backbone.lr_mult=0
Our choice: DenseNet-121 at 224, Adam 1e-4 divided by 10 every two epochs, batch 32; images resized
and cropped as MLRFNet's, no template matching; an uncertain parent is not positive. The ensemble of
six networks: mlrfnet ensemble on their predictions.
Expected: not run. (Paper: single 0.894 with the tree, 0.858 U-Zeros, on the 200 studies.)
"""

_base_ = [
    '../_base_/models/densenet121.py',
    '../_base_/datasets/chexpert.py',
    '../_base_/schedules/adam_20e.py',
    '../_base_/default_runtime.py',
]

_base_.model.head = dict(
    type='mlrfnet_mm.TreeLogits', loss_on='factors', head=_base_.model.head.to_dict()
)

_base_.train_dataloader.dataset.update(policy='LSR-Ones', tree='conditional')
_base_.val_dataloader.dataset.update(policy='LSR-Ones', tree='up')
_base_.test_dataloader.dataset.policy = 'LSR-Ones'

_base_.param_scheduler = dict(type='StepLR', step_size=2, gamma=0.1, by_epoch=True)
