_base_ = '../../mlrfnet_chexpert.py'

_base_.train_dataloader.dataset.policy = 'U-Ones'
_base_.val_dataloader.dataset.policy = 'U-Ones'
