_base_ = '../../mlrfnet_xray14.py'

_base_.optim_wrapper.optimizer.lr = 1e-5
