# The paper's recipe (section IV-C, Table 4): Adam, 1e-4, batch 32, 20 epochs, lr x 0.9 every two
# epochs, stop when the validation loss no longer falls (patience 3).
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='Adam', lr=1e-4))
param_scheduler = dict(type='StepLR', step_size=2, gamma=0.9, by_epoch=True)
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)
val_cfg = dict(type='mlrfnet_mm.LossValLoop')
test_cfg = dict()
custom_hooks = [
    dict(type='mlrfnet_mm.ResumableEarlyStoppingHook', monitor='val/loss', rule='less', patience=3)
]
auto_scale_lr = dict(base_batch_size=32, enable=False)  # --auto-scale-lr with several GPUs
