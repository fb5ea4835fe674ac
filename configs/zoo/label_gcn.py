"""Classifiers out of a label graph, by a GCN. A stand-in after CheXGCN; its text: not available.

mlrfnet train configs/zoo/label_gcn.py

A stand-in after Chen, Li, Lu, Yu, Zhang, IEEE JBHI 24(8):2292-2302, 2020, whose text was not
available. 14,495,616 parameters; the graph's 2,011,136 are not needed at test.
From the abstract: image features, and word embeddings of the findings through several graph layers
over label co-occurrence, which give the classifiers. Inferred from its multiply-adds as MLRFNet
prints them: DenseNet-169 at 512 pixels (224: --cfg-options image_size=224).
Our choice: mean pooling; two layers, 300 to 1024 to 1664, by ML-GCN's formulas; random label
vectors; an edge from P(j | i) = 0.1 on; binary cross-entropy; augmentation, Adam and schedule are
those of MLRFNet. The graph is of the official train split; mlrfnet label-graph makes others.
Expected: not run. (MLRFNet cites mean AUC 0.826.)
"""

_base_ = '../mlrfnet_xray14.py'

_base_.model.neck = None
_base_.model.backbone = dict(
    type='mmpretrain.TIMMBackbone',
    model_name='densenet169',
    features_only=True,
    out_indices=(4,),
    init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint='densenet169.tv_in1k'),
)
_base_.model.head = dict(
    type='mlrfnet_mm.LabelGraphHead',
    graph='graphs/xray14_official_train.json',
    layer='gcn',
    hidden=1024,
    pool='mean',
    num_classes=14,
    in_channels=None,
    loss=dict(
        type='mlrfnet_mm.MaskedLoss',
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    ),
)

image_size = 512
