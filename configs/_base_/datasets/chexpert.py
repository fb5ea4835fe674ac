# CheXpert with the paper's augmentation (section IV-C): resize 256, crop 224, flip, rotation by up
# to 5 degrees, contrast by up to 10 %. Hue and saturation do nothing to a gray image: left out.
# Evaluation by study needs study_id and view.
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
# data_root=None: the environment variable CHEXPERT_ROOT, else data/CheXpert
# protocol='held-out': 1/32 of the patients of train.csv validate, and the 200 studies of valid.csv
# are for mlrfnet test. 'select-on-valid', in all three, is the paper's habit: `val` is `valid`.
train_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mlrfnet_mm.CheXpert',
        data_root=None,
        protocol='held-out',
        split='train',
        policy='U-O&U-Z',
        views='all',
        classes='all',
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mlrfnet_mm.CheXpert',
        data_root=None,
        protocol='held-out',
        split='val',
        policy='U-O&U-Z',
        views='all',
        classes='all',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mlrfnet_mm.CheXpert',
        data_root=None,
        protocol='held-out',
        split='valid',
        policy='U-O&U-Z',
        views='all',
        classes='all',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
val_evaluator = [dict(type='mlrfnet_mm.StudyAUC'), dict(type='mlrfnet_mm.MeanLoss')]
test_evaluator = [dict(type='mlrfnet_mm.StudyAUC')]
