"""The one-channel path against mmpretrain's colour path."""

import pytest
import torch
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def images(count=3, side=8):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 1, side, side), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize('collate', ['list', 'stacked'])
def test_equals_the_colour_path(collate):
    grey = images()
    colour = grey.expand(-1, 3, -1, -1)
    ours = MODELS.build(dict(type='mlrfnet_mm.XrayDataPreprocessor'))
    stock = MODELS.build(
        dict(type='mmpretrain.ClsDataPreprocessor', mean=MEAN, std=STD, to_rgb=True)
    )
    form = list if collate == 'list' else torch.clone
    samples = [DataSample().set_gt_score(torch.rand(5)) for _ in grey]
    result = ours(dict(inputs=form(grey), data_samples=samples), training=True)
    expected = stock(dict(inputs=form(colour), data_samples=samples), training=True)
    assert result['inputs'].shape == (3, 3, 8, 8) and result['inputs'].dtype == torch.float32
    torch.testing.assert_close(result['inputs'], expected['inputs'], rtol=1e-6, atol=1e-6)
    for sample, other in zip(result['data_samples'], expected['data_samples'], strict=True):
        assert torch.equal(sample.gt_score, other.gt_score)


def test_one_channel_stays_one():
    ours = MODELS.build(dict(type='mlrfnet_mm.XrayDataPreprocessor', mean=[100.0], std=[50.0]))
    result = ours(dict(inputs=images()))['inputs']
    torch.testing.assert_close(result, (images().float() - 100) / 50)


@pytest.mark.parametrize(
    ('inputs', 'message'),
    [
        ([images()[0], images(side=9)[0]], 'images of different sizes'),
        (images().expand(-1, 3, -1, -1), 'takes one-channel images'),
    ],
)
def test_wrong_batches(inputs, message):
    ours = MODELS.build(dict(type='mlrfnet_mm.XrayDataPreprocessor'))
    with pytest.raises(ValueError, match=message):
        ours(dict(inputs=inputs))


def classifier(kind):
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type=kind,
            data_preprocessor=dict(type='mlrfnet_mm.XrayDataPreprocessor'),
            backbone=dict(type='mmpretrain.ResNet', depth=18),
            neck=dict(type='mmpretrain.GlobalAveragePooling'),
            head=dict(type='mmpretrain.MultiLabelLinearClsHead', num_classes=4, in_channels=512),
        )
    )
    model.train(False)
    return model


def test_ten_crop_is_the_mean_score():
    crops = images(20, 32).unflatten(0, (2, 10))
    samples = [DataSample(), DataSample()]
    data = dict(inputs=list(crops), data_samples=samples)
    ten = classifier('mlrfnet_mm.TenCropClassifier').test_step(data)
    one = classifier('mmpretrain.ImageClassifier')
    for sample, views in zip(ten, crops, strict=True):
        single = one.test_step(dict(inputs=list(views), data_samples=[DataSample()] * 10))
        expected = one.predict(one.data_preprocessor(dict(inputs=list(views)))['inputs'])
        scores = torch.stack([s.pred_score for s in expected])
        torch.testing.assert_close(sample.pred_score, scores.mean(0), rtol=1e-5, atol=1e-6)
        assert len(single) == 10


def test_ten_crop_needs_crops():
    with pytest.raises(ValueError, match="set crop='ten'"):
        classifier('mlrfnet_mm.TenCropClassifier').test_step(dict(inputs=images(2, 32)))
