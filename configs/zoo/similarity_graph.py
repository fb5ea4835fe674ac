"""A graph over the images of a batch teaches in training. A stand-in after SSGE.

mlrfnet train configs/zoo/similarity_graph.py

A stand-in after Chen, Zhang, Li, Lu, Zhang, IEEE TCSVT 32(4):2455-2468, 2022, whose text was not
available. 14,226,062 parameters in training, of which prediction needs 12,507,790.
From the abstract: an image's features, a graph of semantic similarities among images, a semantic
teacher and a visual student. Inferred from its multiply-adds as MLRFNet prints them: DenseNet-169
at 512 pixels, no graph at test (224: --cfg-options image_size=224).
Our choice: all else. The graph is of each batch's labels; two graph layers; weight 1 of the
distillation; binary cross-entropy; augmentation, Adam and schedule are those of MLRFNet.
Expected: not run. (MLRFNet cites mean AUC 0.830.)
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
    type='mlrfnet_mm.BatchGraphHead',
    num_classes=14,
    in_channels=None,
    loss=dict(
        type='mlrfnet_mm.MaskedLoss',
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    ),
)

image_size = 512
