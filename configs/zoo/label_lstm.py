"""Labels one after the other, by an LSTM. A stand-in after Yao et al.; their text: not available.

mlrfnet train configs/zoo/label_lstm.py

A stand-in after Yao et al., arXiv 1710.10501, 2017, whose text was not available. 8,796,046
parameters.
Known second-hand: a densely connected encoder, trained from scratch, and an LSTM over a fixed
sequence of sigmoids.
Our choice: DenseNet-121 with ImageNet weights (from scratch: --cfg-options
model.backbone.init_cfg=None) at 224 pixels; the data set's order; the scores themselves are fed at
test; binary cross-entropy; augmentation, Adam and schedule are those of MLRFNet.
Expected: not run. (CheXNet cites mean AUC 0.8027 on their own split, not comparable.)
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
    type='mlrfnet_mm.LabelSequenceHead',
    hidden=256,
    num_classes=14,
    in_channels=None,
    loss=dict(
        type='mlrfnet_mm.MaskedLoss',
        loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
    ),
)
