_base_ = '../../mlrfnet_chexpert.py'

_base_.train_dataloader.dataset.policy = 'U-Zeros'
_base_.val_dataloader.dataset.policy = 'U-Zeros'
