"""A recipe of today: EVA-02-S and MRFC at 518 pixels, average of the weights.

mlrfnet train configs/recipes/eva02_small_518.py --amp

Data: data/ChestX-ray14 or the folder in XRAY14_ROOT. Weights: timm's
eva02_small_patch14_336.mim_in22k_ft_in1k; its positions are resampled from 24 x 24 to 37 x 37.
From public recipes (docs/recipes.md): EVA-X-S (hustvl/EVA-X) fine-tunes such a network with AdamW,
layer decay 0.55, stochastic depth 0.2, weight decay 0.05, no mixup; at 224 pixels, 30 epochs.
Our choice: MRFC on the tokens behind blocks 4, 8 and 12 as maps; 518 pixels, the multiple of its
patches of 14 next to 512; lr 1e-4, 20 epochs of a cosine; augmentation and loss are those of
MLRFNet; the best mean AUC on validation.
Cost: time on a GPU: not run. Expected: not run.
"""

_base_ = [
    '../_base_/models/mlrfnet_res2net50.py',
    '../_base_/datasets/chestxray14.py',
    '../_base_/schedules/adamw_20e.py',
    '../_base_/default_runtime.py',
]

_base_.model.data_preprocessor.update(  # CLIP's
    mean=[122.771, 116.746, 104.094], std=[68.501, 66.632, 70.323]
)
_base_.model.backbone = dict(
    type='mlrfnet_mm.TimmFeatures',
    model_name='eva02_small_patch14_336',
    out_indices=(3, 7, 11),
    img_size=518,
    dynamic_img_size=True,  # a test at any multiple of the patch
    drop_path_rate=0.2,
    init_cfg=dict(
        type='mlrfnet_mm.TimmPretrained', checkpoint='eva02_small_patch14_336.mim_in22k_ft_in1k'
    ),
)
_base_.image_size = 518
_base_.optim_wrapper.paramwise_cfg.layer_decay_rate = 0.55
_base_.default_hooks.checkpoint.update(save_best='auc/mean', rule='greater')
