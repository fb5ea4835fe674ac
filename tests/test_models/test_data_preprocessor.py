"""The one-channel path against mmpretrain's color path."""

import numpy as np
import pytest
import torch
from conftest import ROOT
from mmengine.dataset import default_collate, pseudo_collate
from mmengine.optim import OptimWrapper
from mmengine.registry import MODELS
from mmpretrain.structures import DataSample

from mlrfnet_mm.engine.launch import read_config
from mlrfnet_mm.models import build_model
from mlrfnet_mm.models.classifiers.ten_crop import logit_of_mean

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]


def images(count=3, side=8):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 1, side, side), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize('collate', ['list', 'stacked'])
def test_equals_the_color_path(collate):
    gray = images()
    color = gray.expand(-1, 3, -1, -1)
    ours = MODELS.build(dict(type='mlrfnet_mm.XrayDataPreprocessor'))
    stock = MODELS.build(
        dict(type='mmpretrain.ClsDataPreprocessor', mean=MEAN, std=STD, to_rgb=True)
    )
    form = list if collate == 'list' else torch.clone
    samples = [DataSample().set_gt_score(torch.rand(5)) for _ in gray]
    result = ours(dict(inputs=form(gray), data_samples=samples), training=True)
    expected = stock(dict(inputs=form(color), data_samples=samples), training=True)
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
        ([images()[0], images(side=9)[0]], r'one size, got \[\(1, 8, 8\), \(1, 9, 9\)\]'),
        ([], r'one size, got \[\]'),
        (images().expand(-1, 3, -1, -1), r'takes gray batches, .* got \(3, 3, 8, 8\)'),
        (images()[:, 0], r'got \(3, 8, 8\)'),
    ],
)
def test_wrong_batches(inputs, message):
    ours = MODELS.build(dict(type='mlrfnet_mm.XrayDataPreprocessor'))
    with pytest.raises(ValueError, match=message):
        ours(dict(inputs=inputs))


@pytest.mark.parametrize(('mean', 'std'), [([1.0], [1.0, 2.0]), ([], [])])
def test_means_and_deviations_in_pairs(mean, std):
    with pytest.raises(ValueError, match='the same number of entries'):
        MODELS.build(dict(type='mlrfnet_mm.XrayDataPreprocessor', mean=mean, std=std))


@pytest.mark.parametrize('collate', [pseudo_collate, default_collate])
def test_both_collate_functions(collate):
    batch = collate([dict(inputs=image, data_samples=DataSample()) for image in images()])
    ours = MODELS.build(dict(type='mlrfnet_mm.XrayDataPreprocessor'))
    stacked = ours(dict(inputs=images()))['inputs']
    assert torch.equal(ours(batch)['inputs'], stacked)
    assert len(ours(batch)['data_samples']) == 3


def test_mixup_mixes_scores():
    augments = dict(augments=dict(type='Mixup', alpha=1.0))
    ours = MODELS.build(dict(type='mlrfnet_mm.XrayDataPreprocessor', batch_augments=augments))
    samples = [DataSample().set_gt_score(torch.eye(3)[i]) for i in range(3)]
    result = ours(dict(inputs=images(), data_samples=samples), training=True)
    assert result['inputs'].shape == (3, 3, 8, 8)
    mixed = torch.stack([sample.gt_score for sample in result['data_samples']])
    torch.testing.assert_close(mixed.sum(1), torch.ones(3))


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
    data = dict(inputs=list(crops), data_samples=[DataSample(), DataSample()])
    ten = classifier('mlrfnet_mm.TenCropClassifier').test_step(data)
    one = classifier('mmpretrain.ImageClassifier')
    for sample, views in zip(ten, crops, strict=True):
        single = one.test_step(
            dict(inputs=list(views), data_samples=[DataSample() for _ in range(10)])
        )
        scores = torch.stack([s.pred_score for s in single])
        assert scores.std(0).min() > 0
        torch.testing.assert_close(sample.pred_score, scores.mean(0), rtol=1e-5, atol=1e-6)
        assert sample.pred_label.tolist() == scores.mean(0).ge(0.5).nonzero()[:, 0].tolist()


def test_scores_far_out_survive():
    model = classifier('mlrfnet_mm.TenCropClassifier')
    logits = torch.tensor([[-1e4, -40.0, 0.0, 12.0], [-1e4, -40.0, 2.0, 1e4]])
    model.extract_feat = lambda crop: (crop,)
    model.head.forward = lambda feats: logits[int(feats[0].flatten()[0])][None]
    (sample,) = model.predict(torch.arange(2.0).view(1, 2, 1, 1, 1))
    torch.testing.assert_close(sample.pred_score, logits.sigmoid().mean(0), rtol=1e-6, atol=0)


def test_ten_crop_needs_crops():
    with pytest.raises(ValueError, match="set crop='ten'"):
        classifier('mlrfnet_mm.TenCropClassifier').test_step(dict(inputs=images(2, 32)))


def test_the_mean_of_crops_is_exact_in_float32():
    generator = torch.Generator().manual_seed(0)
    logits = 8 * torch.randn(10, 50, generator=generator)
    logits[:, 0], logits[:, 1] = 40, -40  # beyond the bits of a float32 near 1, and near 0
    logits[0, 0] = 30
    found = logit_of_mean(logits)
    assert found.dtype == torch.float32
    z = logits.double()
    log_up, log_down = (torch.logsumexp(torch.nn.functional.logsigmoid(s * z), 0) for s in (1, -1))
    torch.testing.assert_close(found.double(), log_up - log_down, rtol=1e-5, atol=1e-5)
    middle = slice(2, None)
    expected = z.sigmoid().mean(0).logit()[middle]  # the formula, where float64 holds it
    torch.testing.assert_close(found[middle].double(), expected, rtol=1e-4, atol=1e-4)
    assert logit_of_mean(torch.full((10, 1), 1e4)).isfinite().all()


NAN = float('nan')


@pytest.mark.parametrize('kind', ['Mixup', 'CutMix'])
def test_what_is_unknown_in_one_image_is_unknown_in_the_mixture(monkeypatch, kind):
    """Mixed where both know the finding, NaN where either does not: a loss then masks it."""
    monkeypatch.setattr(np.random, 'beta', lambda a, b: 0.25)
    monkeypatch.setattr(np.random, 'randint', lambda low, high, size=None: 4)  # CutMix's center
    monkeypatch.setattr(torch, 'randperm', lambda n: torch.tensor([1, 2, 0]))
    target = torch.tensor([[1, NAN, 0, 1], [0, 1, NAN, 1], [1, 0, 0, NAN]])
    augments = dict(augments=dict(type=f'mmpretrain.{kind}', alpha=1.0))
    ours = MODELS.build(dict(type='mlrfnet_mm.XrayDataPreprocessor', batch_augments=augments))
    samples = [DataSample().set_gt_score(y) for y in target]
    result = ours(dict(inputs=images(), data_samples=samples), training=True)
    mixed = torch.stack([sample.gt_score for sample in result['data_samples']])
    # CutMix's box: a side of int(8 * sqrt(0.75)) = 6 of 8 pixels is the other image's
    lam = 0.25 if kind == 'Mixup' else 1 - 36 / 64
    other = target[[1, 2, 0]]
    torch.testing.assert_close(mixed, lam * target + (1 - lam) * other, equal_nan=True)
    assert torch.equal(mixed.isnan(), target.isnan() | other.isnan()) and mixed.isnan().any()
    plain = ours(dict(inputs=images(), data_samples=samples), training=False)
    assert not torch.equal(plain['inputs'], result['inputs'])


LOSSES = [
    dict(type='mlrfnet_mm.BiasedFocalLoss'),
    dict(type='mlrfnet_mm.BalancedBCELoss'),
    dict(type='mlrfnet_mm.LDAMLoss', class_counts=(9, 5, 2)),
    dict(type='mlrfnet_mm.DistributionBalancedLoss', class_counts=(9, 5, 2), images=20),
    *(
        dict(type='mlrfnet_mm.MaskedLoss', loss=dict(type=f'mmpretrain.{kind}', **options))
        for kind, options in (
            ('AsymmetricLoss', {}),
            ('FocalLoss', {}),
            ('CrossEntropyLoss', dict(use_sigmoid=True)),
        )
    ),
]


@pytest.mark.parametrize('loss', LOSSES, ids=lambda c: c.get('loss', c)['type'].split('.')[1])
def test_a_training_step_with_mixup_on_unknown_targets(loss):
    """By mmpretrain's own key, ``model.train_cfg``; what is known moves the weights, finitely."""
    torch.manual_seed(0)
    model = MODELS.build(
        dict(
            type='mmpretrain.ImageClassifier',
            data_preprocessor=dict(type='mlrfnet_mm.XrayDataPreprocessor'),
            backbone=dict(type='mmpretrain.ResNet_CIFAR', depth=18, stem_channels=4,
                          base_channels=4),
            head=dict(type='mlrfnet_mm.MRFCHead', num_classes=3, in_channels=(32,), lam=(0.1,),
                      loss=loss),
            train_cfg=dict(augments=[dict(type='mmpretrain.Mixup', alpha=0.4)]),
        )
    )  # fmt: skip
    assert model.data_preprocessor.batch_augments is not None
    target = torch.tensor([[1, NAN, 0], [0, 1, NAN], [1, 0, 0]])
    samples = [DataSample().set_gt_score(y) for y in target]
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    before = model.head.classifiers[0].weight.clone()
    logged = model.train_step(dict(inputs=images(), data_samples=samples), optimizer)
    assert logged['loss'].isfinite() and logged['loss'] > 0
    assert all(p.isfinite().all() for p in model.parameters())
    assert not torch.equal(model.head.classifiers[0].weight, before)


def test_mixing_is_off_by_default():
    cfg = read_config(ROOT / 'configs/mlrfnet_xray14.py')
    cfg.model.backbone.init_cfg = None
    assert build_model(cfg.model).data_preprocessor.batch_augments is None
