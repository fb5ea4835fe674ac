"""A recipe of today: ConvNeXtV2-B and MRFC at 512 pixels, average of the weights.

mlrfnet train configs/recipes/convnextv2_base_512.py --amp

Data: data/ChestX-ray14 or the folder in XRAY14_ROOT. Weights: timm's
convnextv2_base.fcmae_ft_in22k_in1k_384, whose license (CC BY-NC 4.0) forbids commercial use.
From public recipes (docs/recipes.md): network, pixels and average of the weights are those of the
CXR-LT 2026 entry hieuphamha19/CXR_LT (arXiv 2602.13430), whose head is one level of ours.
Our choice: AdamW 1e-4, decay 0.05, layer decay 0.8, stochastic depth 0.2, 20 epochs of a cosine;
augmentation and loss are those of MLRFNet; the best mean AUC on validation.
Cost: time on a GPU: not run. Expected: not run.
"""

_base_ = [
    '../_base_/models/mlrfnet_res2net50.py',
    '../_base_/datasets/chestxray14.py',
    '../_base_/schedules/adamw_20e.py',
    '../_base_/default_runtime.py',
]

_base_.model.backbone = dict(
    type='mlrfnet_mm.TimmFeatures',
    model_name='convnextv2_base',
    out_indices=(1, 2, 3),
    drop_path_rate=0.2,
    init_cfg=dict(
        type='mlrfnet_mm.TimmPretrained', checkpoint='convnextv2_base.fcmae_ft_in22k_in1k_384'
    ),
)
_base_.image_size = 512
_base_.default_hooks.checkpoint.update(save_best='auc/mean', rule='greater')
