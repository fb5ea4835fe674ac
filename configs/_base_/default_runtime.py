custom_imports = dict(imports=['mlrfnet_mm'])  # fails loudly; a scope's import error would not
default_scope = 'mmpretrain'
runner_type = 'mlrfnet_mm.SafeRunner'
default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='mlrfnet_mm.PlainCheckpointHook',
        interval=1,
        max_keep_ckpts=2,
        save_best='val/loss',
        rule='less',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    draws=dict(type='mlrfnet_mm.SeedDrawsHook'),  # augmentation by (seed, epoch, index)
    finite_loss=dict(type='mlrfnet_mm.FiniteLossHook'),
    sync_buffers=dict(type='SyncBuffersHook'),  # one set of BatchNorm statistics on all processes
)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)
# window = logger's interval; mmengine's default pattern would average 'val/loss' over past epochs
log_processor = dict(by_epoch=True, window_size=50, mean_pattern='^(loss|time|data_time|grad_norm)')
# and, by one line, to TensorBoard, W&B or MLflow: docs/training.md; LocalVisBackend: scalars.json
visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBackend')])
