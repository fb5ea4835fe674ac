"""A selector with an information bottleneck, and an integrator. A stand-in after ConsultNet.

mlrfnet train configs/zoo/select_integrate.py

A stand-in after Guan, Huang, Luo, Liu, Xu, Yang, IEEE TIP 30:2476-2487, 2021, whose text was not
available. 7,629,106 parameters.
From the abstract: a feature selector by an information bottleneck, an integrator that encodes
places and channels, and both fused.
Our choice: all else. DenseNet-121 at 224 pixels; 256 selected channels, weight 1e-3 of the
divergence; binary cross-entropy; augmentation, Adam and schedule are those of MLRFNet.
Expected: not run. (MLRFNet cites mean AUC 0.822.)
"""

_base_ = '../mlrfnet_xray14.py'

_base_.model.backbone = dict(
    type='mmpretrain.TIMMBackbone',
    model_name='densenet121',
    features_only=True,
    out_indices=(4,),
    init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint='densenet121.tv_in1k'),
)
_base_.model.neck = dict(type='mlrfnet_mm.SelectIntegrateNeck', in_channels=None)
_base_.model.head = dict(
    type='mlrfnet_mm.BottleneckHead',
    num_classes=14,
    in_channels=1024 + 256,
    loss=dict(
        type='mlrfnet_mm.MaskedLoss',
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    ),
)
