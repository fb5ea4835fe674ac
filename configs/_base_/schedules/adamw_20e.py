# Fine-tuning of today: AdamW with rates that fall from layer to layer toward the input, one epoch
# of warm-up, a cosine to 0, no early stop, and the average of the weights in every validation.
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    constructor='mmpretrain.LearningRateDecayOptimWrapperConstructor',
    paramwise_cfg=dict(
        layer_decay_rate=0.8,  # of the layer behind; neck and head have lr
        flat_decay_mult=0.0,  # biases and norms
        custom_keys={'.cls_token': dict(decay_mult=0.0), '.pos_embed': dict(decay_mult=0.0)},
    ),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=1e-3, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', by_epoch=True, begin=1, end=20, convert_to_iter_based=True),
]
train_cfg = dict(by_epoch=True, max_epochs=20, val_interval=1)
val_cfg = dict(type='mlrfnet_mm.LossValLoop')
test_cfg = dict()
custom_hooks = [  # momentum = the larger of 1e-4 and 10 / (10 + steps): not of the initial weights
    dict(type='mlrfnet_mm.ExactEMAHook', ema_type='MomentumAnnealingEMA', momentum=1e-4, gamma=10)
]
auto_scale_lr = dict(base_batch_size=32, enable=False)  # --auto-scale-lr with several GPUs
