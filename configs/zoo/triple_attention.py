"""Channel, element and scale attention. A stand-in after A3Net; its text: not available.

mlrfnet train configs/zoo/triple_attention.py

A stand-in after Wang, Wang, Qin, Zhang, Li, Xia, Med. Image Anal. 67:101846, 2021, whose text was
not available. 7,914,033 parameters.
From the abstract: DenseNet-121 of ImageNet; channel-, element- and scale-wise attention; the
official split by patient.
Our choice: all else. Where the attentions are, their sizes, three levels of 512, 1024 and 1024
channels mixed to 256; 224 pixels; binary cross-entropy; augmentation, Adam and schedule are those
of MLRFNet.
Expected: not run. (Abstract: mean AUC 0.826, official.)
"""

_base_ = '../mlrfnet_xray14.py'

_base_.model.backbone = dict(
    type='mmpretrain.TIMMBackbone',
    model_name='densenet121',
    features_only=True,
    out_indices=(2, 3, 4),
    init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint='densenet121.tv_in1k'),
)
_base_.model.neck = dict(type='mlrfnet_mm.TripleAttentionNeck', in_channels=None)
_base_.model.head = dict(
    type='mlrfnet_mm.ScoreMapHead',
    pool='mean',
    num_classes=14,
    in_channels=None,
    loss=dict(
        type='mlrfnet_mm.MaskedLoss',
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    ),
)
