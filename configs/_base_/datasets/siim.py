# SIIM-ACR Pneumothorax for external validation: 12,047 images of ChestX-ray14 under other names. A
# model that was trained on ChestX-ray14 has seen them: mlrfnet test says so.
# mlrfnet test CONFIG CHECKPOINT --on siim
test_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', scale=256, crop_size=224),
    dict(type='mmpretrain.PackInputs', meta_keys=('img_path', 'patient_id')),
]

# data_root=None: the environment variable SIIM_PNEUMOTHORAX_ROOT, else data/SIIM-Pneumothorax
test_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mlrfnet_mm.SIIMPneumothorax',
        data_root=None,
        split='all',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = [dict(type='mlrfnet_mm.MultiLabelAUC')]
