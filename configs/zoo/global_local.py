"""A network on the image and one on its most active part. A stand-in after LLAGNet.

mlrfnet train configs/zoo/global_local.py

A stand-in after Chen, Li, Lu, Zhang, IEEE JBHI 24(7):2016-2027, 2020, whose text was not available.
14,229,418 parameters.
From the abstract: attention to regions (a global branch; regions by gradients; the best one is
enlarged into a local branch) and to channels. Inferred from its multiply-adds as MLRFNet prints
them: two DenseNet-169 at 512 pixels.
Our choice: DenseNet-121 at 224 pixels (two DenseNet-169: model.backbone.backbone.model_name, at
image_size=512); the region is the largest part above 0.7 of the greatest activity; squeeze and
excitation of each branch; weights 1; binary cross-entropy; augmentation, Adam and schedule are
those of MLRFNet.
Expected: not run. (MLRFNet cites mean AUC 0.824.)
"""

_base_ = '../mlrfnet_xray14.py'

_base_.model.backbone = dict(
    type='mlrfnet_mm.GlobalLocalBackbone',
    backbone=dict(
        type='mmpretrain.TIMMBackbone',
        model_name='densenet121',
        features_only=True,
        out_indices=(4,),
    ),
    init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint='densenet121.tv_in1k'),
)
_base_.model.neck = dict(type='mlrfnet_mm.SENeck', in_channels=None)
_base_.model.head = dict(
    type='mlrfnet_mm.FusionHead',
    num_classes=14,
    in_channels=None,
    loss=dict(
        type='mlrfnet_mm.MaskedLoss',
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    ),
)
