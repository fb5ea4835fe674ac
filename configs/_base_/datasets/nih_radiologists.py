# The radiologists' labels of 1,962 images of ChestX-ray14's official test list: a second reference
# for models of the official protocol.
# mlrfnet test CONFIG CHECKPOINT --on nih_radiologists
test_pipeline = [
    dict(type='mlrfnet_mm.LoadXray'),
    dict(type='mlrfnet_mm.XrayGeometry', scale=256, crop_size=224),
    dict(
        type='mmpretrain.PackInputs',
        meta_keys=('img_path', 'patient_id', 'view', 'sex', 'age'),
    ),
]

# data_root=None: the environment variable XRAY14_ROOT, else data/ChestX-ray14
test_dataloader = dict(
    batch_size=32,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mlrfnet_mm.NIHRadiologists',
        data_root=None,
        split='test',
        pipeline=test_pipeline,
        test_mode=True,
    ),
)
test_evaluator = [dict(type='mlrfnet_mm.MultiLabelAUC')]
