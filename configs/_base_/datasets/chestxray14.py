# ChestX-ray14 with the paper's augmentation (section IV-C): resize 256, crop 224, flip, rotation by
# up to 5 degrees, contrast by up to 10 %. Hue and saturation do nothing to a gray image: left out.
image_size = 224  # cut from 256; for all three loaders, as --cfg-options image_size=320
train_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(
        type='mlrfnet_mm.XrayGeometry',
        crop='random',
        flip=0.5,
        rotate=5.0,
    ),
    dict(type='mlrfnet_mm.XrayContrast', contrast=0.1),
    dict(
        type='mmpretrain.PackInputs',
        meta_keys=('img_path', 'patient_id', 'view', 'sex', 'age'),
    ),
]
test_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry'),
    dict(
        type='mmpretrain.PackInputs',
        meta_keys=('img_path', 'patient_id', 'view', 'sex', 'age'),
    ),
]

# Workers and pinned memory: by machine, where they are not set (mlrfnet_mm.SafeRunner).
# data_root=None: the environment variable XRAY14_ROOT, else data/ChestX-ray14
train_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mlrfnet_mm.ChestXray14',
        data_root=None,
        protocol='official',
        split='train',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mlrfnet_mm.ChestXray14',
        data_root=None,
        protocol='official',
        split='val',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mlrfnet_mm.ChestXray14',
        data_root=None,
        protocol='official',
        split='test',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = [dict(type='mlrfnet_mm.MultiLabelAUC'), dict(type='mlrfnet_mm.MeanLoss')]
test_evaluator = [dict(type='mlrfnet_mm.MultiLabelAUC')]
