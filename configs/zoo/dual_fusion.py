"""ResNet-50 and DenseNet-121, fused by features and decisions. A stand-in after DualCheXNet.

mlrfnet train configs/zoo/dual_fusion.py

A stand-in after Chen, Li, Guo, Lu, Biomed. Signal Process. Control 53:101554, 2019, whose text was
not available. 30,547,946 parameters.
From the abstract: a ResNet and a DenseNet, fusion by features and by decisions, the losses of all
classifiers in one, optimized in turns.
Our choice: all else. The depths; weights 1; trained jointly; the mean of the probabilities; 224
pixels; binary cross-entropy; augmentation, Adam and schedule are those of MLRFNet.
Expected: not run.
"""

_base_ = '../mlrfnet_xray14.py'

_base_.model.neck = None
_base_.model.backbone = dict(
    type='mlrfnet_mm.ParallelBackbones',
    branches=[
        dict(type='mmpretrain.ResNet', depth=50),
        dict(
            type='mmpretrain.TIMMBackbone',
            model_name='densenet121',
            features_only=True,
            out_indices=(4,),
        ),
    ],
    init_cfg=[
        dict(type='mlrfnet_mm.TimmPretrained', checkpoint='resnet50.tv_in1k'),
        dict(type='mlrfnet_mm.TimmPretrained', checkpoint='densenet121.tv_in1k'),
    ],
)
_base_.model.head = dict(
    type='mlrfnet_mm.FusionHead',
    num_classes=14,
    in_channels=None,
    output='mean',
    loss=dict(
        type='mlrfnet_mm.MaskedLoss',
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    ),
)
