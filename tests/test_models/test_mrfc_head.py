import numpy as np
import pytest
import reference
import torch
from mmpretrain.models import CSRAClsHead
from mmpretrain.structures import DataSample

from mlrfnet_mm.models import MRFCHead
from mlrfnet_mm.models.heads.pools import residual_attention

CHANNELS, LAM = (6, 8, 10), (0.5, 0.3, 0.1)


def make_feats(dtype=torch.float64, n=2):
    generator = torch.Generator().manual_seed(0)
    sides = (6, 4, 2)
    return tuple(
        torch.randn(n, c, s, s + 1, generator=generator, dtype=dtype)
        for c, s in zip(CHANNELS, sides, strict=True)
    )


@pytest.mark.parametrize('temperature', [1.0, 10.0, 99.0])
@pytest.mark.parametrize('levels', [1, 2, 3])
def test_equals_equation_2_summed_over_levels(temperature, levels):
    head = MRFCHead(5, CHANNELS[:levels], LAM[:levels], temperature).double()
    torch.nn.init.normal_(head.classifiers[0].weight)  # large scores on one level
    feats = make_feats()[:levels]
    logits = head(feats).detach().numpy()
    for n in range(2):
        expected = sum(
            reference.mrfc_level(
                x[n].numpy(), fc.weight.detach().numpy()[:, :, 0, 0], lam, temperature
            )
            for x, fc, lam in zip(feats, head.classifiers, LAM, strict=False)
        )
        np.testing.assert_allclose(logits[n], expected, rtol=1e-10)


def test_lam_zero_is_plain_average_pooling():
    head = MRFCHead(5, CHANNELS, lam=0.0).double()
    feats = make_feats()
    expected = sum(
        x.mean((2, 3)) @ fc.weight[:, :, 0, 0].T
        for x, fc in zip(feats, head.classifiers, strict=True)
    )
    torch.testing.assert_close(head(feats), expected)


def test_temperature_none_is_the_exact_maximum_and_the_limit_of_large_t():
    scores = torch.randn(2, 3, 20, dtype=torch.float64)
    exact = residual_attention(scores, 0.7, None)
    torch.testing.assert_close(exact, scores.mean(-1) + 0.7 * scores.max(-1).values)
    torch.testing.assert_close(residual_attention(scores, 0.7, 1e6), exact)
    assert (residual_attention(scores, 0.7, 99.0) - exact).abs().max() > 0  # 99 is not the maximum


def test_csra_options_equal_mmpretrains_csra():
    theirs = CSRAClsHead(num_classes=5, in_channels=10, num_heads=1, lam=0.4).double()
    ours = MRFCHead(5, (10,), 0.4, temperature=1.0, normalize_weight=True).double()
    ours.classifiers[0].weight.data.copy_(theirs.csra_heads[0].head.weight)
    feats = make_feats()[-1:]
    torch.testing.assert_close(ours(feats), theirs(feats))


@pytest.mark.parametrize(
    ('kwargs', 'message'),
    [
        (dict(lam=(0.5, 0.3)), r'one lam for each level.*\(0.5, 0.3\).*\(512, 1024, 2048\)'),
        (dict(in_channels=()), 'one lam for each level'),
        (dict(temperature=0), 'temperature must be positive'),
        (dict(lamda=0.1), 'lamda'),
    ],
)
def test_wrong_arguments_fail_at_construction(kwargs, message):
    with pytest.raises((ValueError, TypeError), match=message):
        MRFCHead(**kwargs)


def test_other_levels_are_refused():
    with pytest.raises(ValueError, match='model.head expects 3 levels, the backbone gives 2'):
        MRFCHead(5, CHANNELS, LAM)(make_feats(torch.float32)[:2])


def test_classifiers_start_small_and_have_no_bias():
    head = MRFCHead()
    head.init_weights()
    assert sum(p.numel() for p in head.parameters()) == 50_176  # spec: 14 x (512 + 1024 + 2048)
    for fc in head.classifiers:
        assert fc.bias is None
        assert fc.weight.std().item() == pytest.approx(0.01, rel=0.05)


def test_autocast_keeps_the_softmax_in_single_precision():
    head = MRFCHead(5, CHANNELS, LAM)
    feats = tuple(10 * x for x in make_feats(torch.float32))
    with torch.autocast('cpu', torch.bfloat16):
        logits = head(feats)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()


def test_trains_and_predicts_through_mmpretrains_interface():
    head = MRFCHead(5, CHANNELS, LAM)
    feats = make_feats(torch.float32)
    samples = [DataSample().set_gt_score(torch.tensor([0.0, 1, 0, 0, 1])) for _ in range(2)]
    losses = head.loss(feats, samples)
    target = torch.stack([s.gt_score for s in samples])
    torch.testing.assert_close(losses['loss'], head.loss_module(head(feats), target))
    predicted = head.predict(feats, samples)
    torch.testing.assert_close(predicted[1].pred_score, torch.sigmoid(head(feats))[1])


@pytest.mark.parametrize(
    ('kwargs', 'expected'), [({}, [0, 1, 2]), (dict(thr=0.7), [1, 2]), (dict(topk=1), [2])]
)
def test_predicted_labels(kwargs, expected):
    head = MRFCHead(3, (4,), 0.0, **kwargs)
    for i in range(3):
        head.classifiers[0].weight.data[i] = i / 4  # logits 0, 1, 2: scores 0.5, 0.73, 0.88
    (sample,) = head.predict((torch.ones(1, 4, 2, 2),), [DataSample()])
    assert sample.pred_label.tolist() == expected


def test_default_weights_are_the_paper_s_from_high_to_low_resolution():
    assert MRFCHead().lam == (0.5, 0.3, 0.1)


def test_keys_and_numbers_are_those_of_the_head_before_the_family():
    """The formula of 0.2's MRFCHead, written out: the same bits, in the same keys."""
    torch.manual_seed(5)
    head = MRFCHead(14, CHANNELS, LAM)
    assert list(head.state_dict()) == [f'classifiers.{i}.weight' for i in range(3)]
    feats = tuple(30 * x for x in make_feats(torch.float32))
    expected = []
    for fc, x, lam in zip(head.classifiers, feats, LAM, strict=True):
        scores = torch.nn.functional.conv2d(x, fc.weight).flatten(2)
        residual = (torch.softmax(99.0 * scores, -1) * scores).sum(-1)
        expected.append(scores.mean(-1) + lam * residual)
    assert torch.equal(head(feats), torch.stack(expected).sum(0))
    torch.manual_seed(5)
    drawn = [torch.nn.Conv2d(c, 14, 1, bias=False).weight for c in CHANNELS]
    assert all(map(torch.equal, drawn, head.parameters()))  # no draw more, none less
