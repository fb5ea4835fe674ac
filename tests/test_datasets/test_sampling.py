"""Class-aware sampling: what is drawn how often, by whom, and from which data sets."""

from collections import Counter

import numpy as np
import pytest
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.registry import DATA_SAMPLERS
from scipy.stats import chisquare
from torch.utils.data import Subset

from mlrfnet_mm.datasets import ChestXray14, ClassAwareSampler, sampling
from mlrfnet_mm.datasets.sampling import class_aware_indices, findings_of


class Findings:
    """A data set that knows its findings only."""

    def __init__(self, findings):
        self.findings = findings

    def __len__(self):
        return len(self.findings)

    def get_cat_ids(self, index):
        return self.findings[index]


LONG_TAIL = Findings([[0]] * 60 + [[1]] * 25 + [[0, 2]] * 10 + [[3]] * 2 + [[]] * 103)


def sampler(dataset=LONG_TAIL, **options):
    return DATA_SAMPLERS.build(
        dict(type='mlrfnet_mm.ClassAwareSampler', dataset=dataset, **{'seed': 5, **options})
    )


def draw(groups, count, max_repeats=10**6, seed=0):
    return class_aware_indices(groups, count, max_repeats, np.random.default_rng(seed))


def test_classes_are_drawn_uniformly_and_their_images_in_turn():
    groups = [range(50), range(50, 60), [60], range(61, 64)]
    counts = Counter(draw(groups, 8000))
    by_class = [sum(counts[i] for i in group) for group in groups]
    assert chisquare(by_class).pvalue > 1e-3
    for group in groups:
        times = [counts[i] for i in group]
        assert max(times) - min(times) <= 1


def test_an_image_with_two_findings_is_drawn_for_both():
    counts = Counter(draw([[0, 1], [1, 2]], 9000))
    shares = np.array([counts[i] for i in range(3)]) / 9000
    np.testing.assert_allclose(shares, [1 / 4, 1 / 2, 1 / 4], atol=0.02)


@pytest.mark.parametrize('max_repeats', [1, 3, 10])
def test_no_image_comes_more_often_than_the_cap(max_repeats):
    indices = list(sampler(max_repeats=max_repeats))
    counts = Counter(indices)
    assert len(indices) == len(LONG_TAIL) and max(counts.values()) <= max_repeats
    rare = [counts[i] for i in (95, 96)]  # a fifth of the draws are theirs: 20 each without a cap
    assert rare == [max_repeats] * 2
    if max_repeats == 1:
        assert sorted(indices) == list(range(len(LONG_TAIL)))


def test_images_without_a_finding_are_a_class():
    empty = range(97, 200)
    counts = Counter(sampler(num_samples=2000, max_repeats=10**6))
    assert sum(counts[i] for i in empty) / 2000 == pytest.approx(1 / 5, abs=0.03)
    counts = Counter(sampler(no_finding=False))
    assert not any(counts[i] for i in empty) and sum(counts.values()) == len(LONG_TAIL)


def test_seed_and_epoch_decide():
    one, same, other = sampler(), sampler(), sampler(seed=6)
    first = list(one)
    assert first == list(one) == list(same) != list(other)
    one.set_epoch(1)
    assert list(one) != first
    same.set_epoch(1)  # as after a resume
    assert list(one) == list(same)


def test_copies_of_an_image_know_which_they_are():
    outer = [(int(i), i.outer) for i in sampler()]
    assert len(set(outer)) == len(outer)
    for image in {i for i, _ in outer}:
        copies = [o for i, o in outer if i == image]
        assert copies == [image + n * len(LONG_TAIL) for n in range(len(copies))]


@pytest.mark.parametrize('world', [1, 3])
def test_processes_share_one_epoch(monkeypatch, world):
    whole = list(sampler(num_samples=201))
    parts = []
    for rank in range(world):
        monkeypatch.setattr(sampling, 'get_dist_info', lambda rank=rank: (rank, world))
        mine = sampler(num_samples=200 if world == 3 else 201)  # rounded up
        parts.append([(int(i), i.outer) for i in mine])
        assert len(mine) == len(parts[-1]) == 201 // world
    joined = [parts[n % world][n // world] for n in range(201)]
    assert joined == [(int(i), i.outer) for i in whole]


def test_wrappers_are_looked_into(phantom):
    images = ChestXray14(str(phantom), indices=12)
    labels = [np.flatnonzero(images.get_data_info(i)['gt_score']).tolist() for i in range(12)]
    assert any(labels)
    ours = dict(type='mlrfnet_mm.ChestXray14', data_root=str(phantom))
    nested = dict(type='ConcatDataset', datasets=[dict(ours, indices=n) for n in (12, 5)])
    parts = ConcatDataset([images, ChestXray14(str(phantom), indices=5)])
    balanced = ClassBalancedDataset(images, oversample_thr=0.9)
    for dataset, expected in (
        (images, labels),
        (RepeatDataset(images, times=3), 3 * labels),
        (parts, labels + labels[:5]),
        (RepeatDataset(nested, times=2), 2 * (labels + labels[:5])),
        (balanced, [labels[i] for i in balanced.repeat_indices]),
        (Subset(images, [3, 0, 7]), [labels[i] for i in (3, 0, 7)]),
        (Subset(RepeatDataset(images, times=2), [13]), [labels[1]]),
    ):
        assert [findings_of(dataset, i) for i in range(len(dataset))] == expected
        assert len(list(sampler(dataset))) == len(dataset)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(max_repeats=0), 'max_repeats must be at least 1, got 0'),
        (dict(num_samples=0), 'num_samples must be at least 1, got 0'),
        (dict(max_repeats=True), 'max_repeats must be at least 1, got True'),
        (dict(no_finding=False, max_repeats=2), '97 images, each at most 2 times, are fewer than'),
        (dict(dataset=Findings([[], []]), no_finding=False), 'no image has a finding'),
    ],
)
def test_what_cannot_be_drawn_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sampler(**options)


def test_a_data_set_that_does_not_tell_is_refused():
    with pytest.raises(TypeError, match=r'asks get_cat_ids\(index\).*range has none'):
        ClassAwareSampler(range(3))
