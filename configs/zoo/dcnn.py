"""DCNN of the ChestX-ray14 paper: ResNet-50, transition, LSE pooling, linear. Partly.

mlrfnet train configs/zoo/dcnn.py

Source: Wang et al., ChestX-ray8, CVPR 2017, arXiv 1705.02315. No official training code is known.
27,733,070 parameters; 23,536,718 without the transition (model.neck with LSEPooling alone).
From it: ImageNet weights, LSE pooling with r = 10, cross-entropy weighted by the batch's numbers of
positive and negative entries (W-CEL).
Our choice: the transition is a 1x1 convolution and ReLU of 2048 channels; 224 x 224 (theirs: 1024;
--cfg-options image_size=1024 cuts it from 1170); augmentation, Adam and schedule are those of
MLRFNet, as theirs are not known; the best mean AUC chooses and stops, as a loss weighted by the
batch is another one for each image that is validated.
Expected: not run. (MLRFNet cites a mean AUC of 0.745; official split by its
signature, not read in the source.)
"""

_base_ = '../mlrfnet_xray14.py'

_base_.model.backbone = dict(
    type='mmpretrain.ResNet',
    depth=50,
    out_indices=(3,),
    init_cfg=dict(type='mlrfnet_mm.TimmPretrained', checkpoint='resnet50.tv_in1k'),
)
_base_.model.neck = [
    dict(type='mlrfnet_mm.TransitionNeck', in_channels=None),
    dict(type='mlrfnet_mm.LSEPooling', r=10.0),
]
_base_.model.head = dict(
    type='mmpretrain.MultiLabelLinearClsHead',
    num_classes=14,
    in_channels=2048,
    loss=dict(type='mlrfnet_mm.BalancedBCELoss', scope='batch', balance='both'),
)

_base_.default_hooks.checkpoint.update(save_best='auc/mean', rule='greater')
_base_.custom_hooks[0].update(monitor='auc/mean', rule='greater')
