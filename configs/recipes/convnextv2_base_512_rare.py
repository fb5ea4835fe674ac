"""The recipe of convnextv2_base_512.py for rare findings: its loss, sampling and augmentation too.

mlrfnet train configs/recipes/convnextv2_base_512_rare.py --amp

From the CXR-LT 2026 entry (docs/recipes.md): distribution-balanced loss, class-aware sampling with
at most ten repeats. Our choice: the ranges of RandAugment, which that entry does not have.
Weights: timm's convnextv2_base.fcmae_ft_in22k_in1k_384, whose license (CC BY-NC 4.0)
forbids commercial use.
Cost: time on a GPU: not run. Expected: not run.
"""

_base_ = ['convnextv2_base_512.py', '../_base_/augment/xray_randaugment.py']

_base_.model.head.loss = dict(
    type='mlrfnet_mm.DistributionBalancedLoss', class_counts='graphs/xray14_official_train.json'
)
_base_.train_dataloader.sampler = dict(type='mlrfnet_mm.ClassAwareSampler', max_repeats=10)
_base_.train_dataloader.dataset.pipeline[2] = _base_.xray_randaugment
