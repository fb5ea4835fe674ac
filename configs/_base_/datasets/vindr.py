# VinDr-CXR for external validation: the 15,000 images of Kaggle, of which three readers each saw a
# finding or did not; two of them decide.
# mlrfnet test CONFIG CHECKPOINT --on vindr
test_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', scale=256, crop_size=224),
    dict(type='mmpretrain.PackInputs', meta_keys=('img_path', 'patient_id')),
]

# data_root=None: the environment variable VINDR_CXR_ROOT, else data/VinDr-CXR
test_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mlrfnet_mm.VinDrCXR',
        data_root=None,
        protocol='kaggle',
        split='all',
        reading='majority',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = [dict(type='mlrfnet_mm.MultiLabelAUC')]
