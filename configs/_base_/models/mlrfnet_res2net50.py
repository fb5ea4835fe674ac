# MLRFNet as the paper has it: 23,700,305 parameters, 4.29 G multiply-adds at 224 x 224.
model = dict(
    type='mmpretrain.ImageClassifier',
    data_preprocessor=dict(  # ImageNet mean and standard deviation: one channel becomes three
        type='mlrfnet_mm.XrayDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
    ),
    backbone=dict(
        type='mmpretrain.Res2Net',
        depth=50,
        scales=4,
        base_width=26,
        deep_stem=False,  # mmpretrain's defaults (True, True) are another network: 4.52 G
        avg_down=False,
        out_indices=(1, 2, 3),  # U2, U3, U4
        init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint='res2net50_26w_4s.in1k'),
    ),
    neck=dict(type='mlrfnet_mm.ECANeck', in_channels=None, kernel_size=3),
    head=dict(
        type='mlrfnet_mm.MRFCHead',
        num_classes=14,
        in_channels=None,  # found by a look at the backbone; numbers are checked
        lam=(0.5, 0.3, 0.1),
        temperature=99.0,
        loss=dict(type='mlrfnet_mm.BiasedFocalLoss', alpha=0.4, gamma=2.0, shift=0.2),
    ),
)
