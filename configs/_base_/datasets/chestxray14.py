# ChestX-ray14 with the paper's augmentation (section IV-C): resize 256, crop 224, flip, rotation by
# up to 5 degrees, contrast by up to 10 %. Hue and saturation do nothing to a grey image: left out.
# 'area' averages where it shrinks (1024 to 256); 'bilinear' would drop three pixels of four.
train_pipeline = [
    dict(type='mmpretrain.LoadImageFromFile'),
    dict(type='mmpretrain.Resize', scale=(256, 256), interpolation='area'),
    dict(type='mmpretrain.RandomCrop', crop_size=224),
    dict(type='mmpretrain.RandomFlip', prob=0.5, direction='horizontal'),
    dict(
        type='mmpretrain.Rotate',
        magnitude_range=(0, 5),
        magnitude_std='inf',  # uniform; the sign is drawn too
        prob=1.0,
        pad_val=0,
        interpolation='bilinear',
    ),
    dict(type='mmpretrain.ColorJitter', contrast=0.1),
    dict(type='mmpretrain.PackInputs', meta_keys=('img_path', 'patient_id')),
]
test_pipeline = [
    dict(type='mmpretrain.LoadImageFromFile'),
    dict(type='mmpretrain.Resize', scale=(256, 256), interpolation='area'),
    dict(type='mmpretrain.CenterCrop', crop_size=224),
    dict(type='mmpretrain.PackInputs', meta_keys=('img_path', 'patient_id')),
]

# data_root=None: the environment variable XRAY14_ROOT, else data/ChestX-ray14
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    persistent_workers=True,
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
    num_workers=4,
    persistent_workers=True,
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
    num_workers=4,
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
