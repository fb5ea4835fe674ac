"""A pyramid transformer with label queries. A stand-in after MXT; its text: not available.

mlrfnet train configs/zoo/pvt_query.py

A stand-in after Jiang, Zhu, Cai, Zheng, Yang, Cogn. Comput. 14(4):1362-1377, 2022, whose text was
not available. 25,778,638 parameters.
From MLRFNet's description: a variant of the pyramid vision transformer, short and long range by
self-attention.
Our choice: all else. PVTv2-B2, which has overlapping patches and convolutions in its feed-forward
networks, at 224 pixels; ML-Decoder's head of 256 channels in place of its attention over labels;
binary cross-entropy; augmentation, Adam and schedule are those of MLRFNet.
Expected: not run. (MLRFNet cites mean AUC 0.830.)
"""

_base_ = '../mlrfnet_xray14.py'

_base_.model.neck = None
_base_.model.backbone = dict(
    type='mmpretrain.TIMMBackbone',
    model_name='pvt_v2_b2',
    features_only=True,
    out_indices=(3,),
    init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint='pvt_v2_b2.in1k'),
)
_base_.model.head = dict(
    type='mlrfnet_mm.LabelQueryHead',
    variant='ml-decoder',
    dim=256,
    hidden=1024,
    heads=8,
    num_classes=14,
    in_channels=None,
    loss=dict(
        type='mlrfnet_mm.MaskedLoss',
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    ),
)
