# X-rays and findings of a table of one's own, with the paper's augmentation (section IV-C): resize
# 256, crop 224, flip, rotation by up to 5 degrees, contrast by up to 10 %. `mlrfnet new` writes a
# config on it that says which table, columns and splits, for all three loaders.
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
        type='mmpretrain.PackInputs',  # what the table does not have is left out
        meta_keys=('img_path', 'image_id', 'patient_id', 'study_id', 'view', 'sex', 'age'),
    ),
]
test_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry'),
    dict(
        type='mmpretrain.PackInputs',
        meta_keys=('img_path', 'image_id', 'patient_id', 'study_id', 'view', 'sex', 'age'),
    ),
]

# Workers and pinned memory: by machine, where they are not set (mlrfnet_mm.SafeRunner).
train_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='mlrfnet_mm.TableXrays', split='train', pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mlrfnet_mm.TableXrays', split='val', pipeline=test_pipeline, test_mode=True),
)
test_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mlrfnet_mm.TableXrays', split='test', pipeline=test_pipeline, test_mode=True
    ),
)
val_evaluator = [dict(type='mlrfnet_mm.MultiLabelAUC'), dict(type='mlrfnet_mm.MeanLoss')]
test_evaluator = [dict(type='mlrfnet_mm.MultiLabelAUC')]
