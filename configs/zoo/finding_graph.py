"""A graph over PCAM's features of the findings. A stand-in after F-PCAM; its text: not available.

mlrfnet train configs/zoo/finding_graph.py

A stand-in after Jung, Gu, Harada, Proc. SPIE 12032:135-147, 2022 (F-PCAM, FGR-PCAM), whose text was
not available. 8,016,782 parameters.
From MLRFNet's description: a CNN, and a "graph structure to learn the relationships between
lesion-specific features in localized regions".
Our choice: all else. DenseNet-121 at 224 pixels; PCAM's features of the findings are the nodes, one
graph layer adds to them; an edge from P(j | i) = 0.1 on; binary cross-entropy; augmentation, Adam
and schedule are those of MLRFNet. The graph is of the official train split; mlrfnet label-graph
makes others, graph=None learns one.
Expected: not run. (MLRFNet cites mean AUC 0.821.)
"""

_base_ = '../mlrfnet_xray14.py'

_base_.model.neck = None
_base_.model.backbone = dict(
    type='mmpretrain.TIMMBackbone',
    model_name='densenet121',
    features_only=True,
    out_indices=(4,),
    init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint='densenet121.tv_in1k'),
)
_base_.model.head = dict(
    type='mlrfnet_mm.FindingGraphHead',
    graph='graphs/xray14_official_train.json',
    num_classes=14,
    in_channels=None,
    loss=dict(
        type='mlrfnet_mm.MaskedLoss',
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    ),
)
