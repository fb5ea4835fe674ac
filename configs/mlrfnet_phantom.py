"""MLRFNet on the generated phantom: the main config, sized down for two CPU cores.

mlrfnet phantom && mlrfnet train configs/mlrfnet_phantom.py

Cost: 5 min 49 s of training on two CPU cores (1.2 s per iteration of 32 images).
Expected: mean AUC 0.897 on the 833 test images (seed 0, `make train`, 2026-11-26); Nodule near 0.6.
Beyond the size, only the schedule differs: random weights learn in four epochs at a higher rate.
"""

_base_ = 'mlrfnet_xray14.py'

_base_.model.backbone.init_cfg = None  # random weights: the phantom needs no download
_base_.optim_wrapper.optimizer.lr = 5e-4  # and they want a higher rate than ImageNet's
_base_.param_scheduler = dict(
    type='CosineAnnealingLR', by_epoch=True, T_max=4, end=4, convert_to_iter_based=True
)
_base_.train_cfg.max_epochs = 4
_base_.default_hooks.logger.interval = 10

# 64 pixels instead of 224, cut from 72 instead of 256
_base_.image_size = dict(scale=72, crop_size=64)

_base_.train_dataloader.dataset.data_root = 'data/phantom'
_base_.val_dataloader.dataset.data_root = 'data/phantom'
_base_.test_dataloader.dataset.data_root = 'data/phantom'
