"""Classifiers out of a label graph, by a GAT. A stand-in after CheXGAT; its text: not available.

mlrfnet train configs/zoo/label_gat.py

A stand-in after Lee, Huang, Chang, Artif. Intell. Med. 132:102382, 2022, whose text was not
available. 8,313,728 parameters; the graph's 1,359,872 are not needed at test.
From MLRFNet's description: a CNN, and a graph of the findings with self-attention over neighbors.
Our choice: all else. DenseNet-121 at 224 pixels, mean pooling; two layers, 300 to 4 heads of 256 to
1024; random label vectors; an edge from P(j | i) = 0.1 on; binary cross-entropy; augmentation, Adam
and schedule are those of MLRFNet. The graph is of the official train split; mlrfnet label-graph
makes others.
Expected: not run. (MLRFNet cites mean AUC 0.827.)
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
    type='mlrfnet_mm.LabelGraphHead',
    graph='graphs/xray14_official_train.json',
    layer='gat',
    hidden=1024,
    heads=4,
    pool='mean',
    num_classes=14,
    in_channels=None,
    loss=dict(
        type='mlrfnet_mm.MaskedLoss',
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    ),
)
