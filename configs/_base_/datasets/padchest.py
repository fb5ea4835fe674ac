# PadChest for external validation: the frontal images (PA, AP, supine) of all patients, labels by
# physicians and by the network that read the other reports; labeled_by='physician' for the former.
# mlrfnet test CONFIG CHECKPOINT --on padchest
test_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', scale=256, crop_size=224),
    dict(
        type='mmpretrain.PackInputs',
        meta_keys=('img_path', 'patient_id', 'study_id', 'view', 'sex', 'age'),
    ),
]

# data_root=None: the environment variable PADCHEST_ROOT, else data/PadChest
test_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mlrfnet_mm.PadChest',
        data_root=None,
        split='all',
        views='frontal',
        labeled_by='all',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = [dict(type='mlrfnet_mm.MultiLabelAUC')]
