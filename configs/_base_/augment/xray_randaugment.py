# RandAugment (Cubuk et al., 2020) in ranges for X-rays, in place of XrayContrast:
#
# _base_ = ['mlrfnet_xray14.py', '_base_/augment/xray_randaugment.py']
# _base_.train_dataloader.dataset.pipeline[2] = _base_.xray_randaugment
#
# Two of six, at magnitude 6 of 10, give or take: rotation by 9 degrees, translation by 6 % of a
# side, brightness by 18 %, sharpness by 30 %, each with probability 0.5; contrast by up to 20 %.
# Left out: invert, solarize, posterize, equalize and auto-contrast, which change what gray levels
# mean; shear; color, which a gray image has not. Flip and zoom are XrayGeometry's, with one
# interpolation: --cfg-options train_dataloader.dataset.pipeline.1.zoom=0.1
# SeededCompose: mmpretrain's draws depend on seed, epoch and image, as all others do. Its Contrast
# does not take gray images, XrayContrast does.
xray_randaugment = dict(
    type='mlrfnet_mm.SeededCompose',
    transforms=[
        dict(
            type='mmpretrain.RandAugment',
            num_policies=2,
            magnitude_level=6,
            magnitude_std=0.5,
            total_level=10,
            hparams=dict(pad_val=0, interpolation='bilinear'),
            policies=[
                dict(type='mmpretrain.Rotate', magnitude_range=(0, 15)),
                dict(type='mmpretrain.Translate', magnitude_range=(0, 0.1), direction='horizontal'),
                dict(type='mmpretrain.Translate', magnitude_range=(0, 0.1), direction='vertical'),
                dict(type='mmpretrain.Brightness', magnitude_range=(0, 0.3)),
                dict(type='mmpretrain.Sharpness', magnitude_range=(0, 0.5)),
                dict(type='mlrfnet_mm.XrayContrast', contrast=0.2),
            ],
        )
    ],
)
