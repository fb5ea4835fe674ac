"""A recipe of today: ViT-S/16 and MRFC at 512 pixels, average of the weights.

mlrfnet train configs/recipes/vit_small_512.py --amp

As eva02_small_518.py, with a plain vision transformer: timm's
vit_small_patch16_384.augreg_in21k_ft_in1k, positions resampled from 24 x 24 to 32 x 32. The recipe
of medical_mae (lambert-x/medical_mae) for its ViT-S has the same layer decay and stochastic depth.
Cost: time on a GPU: not run. Expected: not run.
"""

_base_ = 'eva02_small_518.py'

_base_.model.data_preprocessor.update(mean=[127.5] * 3, std=[127.5] * 3)
_base_.model.backbone.update(model_name='vit_small_patch16_384', img_size=512)
_base_.model.backbone.init_cfg.checkpoint = 'vit_small_patch16_384.augreg_in21k_ft_in1k'
_base_.image_size = 512
