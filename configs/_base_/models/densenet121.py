"""DenseNet-121 (ImageNet), mean over the map, one linear layer, binary cross-entropy."""

model = dict(
    type='mmpretrain.ImageClassifier',
    data_preprocessor=dict(type='mlrfnet_mm.XrayDataPreprocessor'),  # ImageNet's mean and deviation
    backbone=dict(
        type='mmpretrain.TIMMBackbone',
        model_name='densenet121',
        features_only=True,
        out_indices=(4,),
        init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint='densenet121.tv_in1k'),
    ),
    neck=dict(type='mmpretrain.GlobalAveragePooling'),
    head=dict(
        type='mmpretrain.MultiLabelLinearClsHead',
        num_classes=14,
        in_channels=1024,
        loss=dict(
            type='mlrfnet_mm.MaskedLoss',
            loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
        ),
    ),
)
