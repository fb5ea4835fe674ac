"""Augmentation through a runner's own loaders: it differs by epoch and by copy, not by chance."""

import copy
from collections import Counter

import numpy as np
import pytest
from builders import small_runner
from conftest import ROOT
from mmengine.hooks import Hook
from mmengine.registry import DATASETS
from torch.utils.data import Subset

from mlrfnet_mm.datasets import ChestXray14, ClassAwareSampler
from mlrfnet_mm.engine.launch import read_config

pytestmark = pytest.mark.slow

PIPELINE = read_config(ROOT / 'configs/mlrfnet_phantom.py').train_dataloader.dataset.pipeline
RANDAUGMENT = read_config(ROOT / 'configs/_base_/augment/xray_randaugment.py').xray_randaugment
IN_ORDER = dict(type='DefaultSampler', shuffle=False)
CLASS_AWARE = dict(type='mlrfnet_mm.ClassAwareSampler', num_samples=20)
KEPT = 6  # images of the training split


class Keep(Hook):
    """Keeps the images of each epoch, in the order of the loader, with their names."""

    def __init__(self):
        self.epochs = []

    def before_train_epoch(self, runner):
        self.epochs.append([])

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for image, sample in zip(data_batch['inputs'], data_batch['data_samples'], strict=True):
            self.epochs[-1].append((sample.img_path, image.numpy().copy()))


def train(tmp_path, phantom, wrap, as_object, workers=1, sampler=IN_ORDER, pipeline=PIPELINE):
    steps = copy.deepcopy(pipeline)
    data = dict(type='mlrfnet_mm.ChestXray14', data_root=str(phantom), pipeline=steps, indices=KEPT)
    if as_object:
        data = ChestXray14(str(phantom), pipeline=steps, indices=KEPT)
    if wrap == 'RepeatDataset':
        data = dict(type=wrap, times=3, dataset=data)
    elif wrap == 'ClassBalancedDataset':
        data = dict(type=wrap, oversample_thr=0.9, dataset=data)
    elif wrap == 'nested':
        data = dict(
            type='RepeatDataset', times=2, dataset=dict(type='ConcatDataset', datasets=[data])
        )
    if wrap == 'Subset':
        data = Subset(data, [5, 3, 0, 4])
    elif as_object and wrap != 'none':
        data = DATASETS.build(data)
    keep = Keep()
    findings = dict(head=dict(num_classes=14))
    runner = small_runner(tmp_path, randomness=dict(seed=7), model=findings)
    runner._train_dataloader = dict(
        batch_size=4,
        num_workers=workers,
        persistent_workers=workers > 0,
        dataset=data,
        sampler=sampler,
    )
    runner._train_loop = dict(by_epoch=True, max_epochs=2, val_interval=10)
    kinds = ('SeedDrawsHook', 'DistSamplerSeedHook', 'Keep')
    runner.register_hook(keep)
    runner._hooks = [hook for hook in runner._hooks if type(hook).__name__ in kinds]
    runner._val_loop = runner._val_dataloader = runner._val_evaluator = None
    runner.model.train_step = lambda data, optim_wrapper: {}
    runner.train()
    # Its workers end here: a later runner's would inherit them, and wait 5 s for each.
    runner.train_loop.dataloader._iterator = None
    return keep.epochs


@pytest.mark.parametrize('as_object', [False, True], ids=['config', 'object'])
@pytest.mark.parametrize('wrap', ['none', 'RepeatDataset', 'ClassBalancedDataset', 'nested'])
def test_epochs_and_copies_differ(tmp_path, phantom, wrap, as_object):
    first, second = train(tmp_path, phantom, wrap, as_object)
    assert [name for name, _ in first] == [name for name, _ in second]
    same = [np.array_equal(a, b) for (_, a), (_, b) in zip(first, second, strict=True)]
    assert not any(same)
    copies = {}
    for name, image in first:
        copies.setdefault(name, []).append(image.tobytes())
    assert (max(map(len, copies.values())) > 1) == (wrap != 'none')
    for images in copies.values():
        assert len(set(images)) == len(images)


@pytest.mark.parametrize('wrap', ['none', 'ClassBalancedDataset'])
def test_the_same_for_any_number_of_workers(tmp_path, phantom, wrap):
    epochs = [train(tmp_path / str(n), phantom, wrap, False, workers=n) for n in (0, 2)]
    for ours, theirs in zip(*epochs, strict=True):
        for (name, a), (other, b) in zip(ours, theirs, strict=True):
            assert name == other
            np.testing.assert_array_equal(a, b)


WRAPS = ['none', 'RepeatDataset', 'ClassBalancedDataset', 'nested', 'Subset']


@pytest.mark.parametrize('wrap', WRAPS)
def test_copies_of_the_class_aware_sampler_differ(tmp_path, phantom, wrap):
    for epoch in train(tmp_path, phantom, wrap, wrap == 'Subset', sampler=CLASS_AWARE):
        assert len(epoch) == 20
        copies = {}
        for name, image in epoch:
            copies.setdefault(name, []).append(image.tobytes())
        assert max(map(len, copies.values())) > 2
        for images in copies.values():
            assert len(set(images)) == len(images)


def test_a_resumed_epoch_draws_the_same_images(tmp_path, phantom):
    """What a runner's second epoch had follows from seed and epoch alone."""
    _, second = train(tmp_path, phantom, 'none', False, sampler=CLASS_AWARE)
    dataset = ChestXray14(str(phantom), indices=KEPT)
    sampler = ClassAwareSampler(dataset, num_samples=20, seed=7)
    sampler.set_epoch(1)
    expected = [dataset.get_data_info(i)['img_path'] for i in sampler]
    assert [name for name, _ in second] == expected
    assert max(Counter(expected).values()) <= 10


def test_randaugment_is_the_same_for_any_number_of_workers(tmp_path, phantom):
    steps = [*PIPELINE[:2], RANDAUGMENT, PIPELINE[-1]]
    options = dict(sampler=CLASS_AWARE, pipeline=steps)
    none, two = (
        train(tmp_path / str(n), phantom, 'none', False, workers=n, **options) for n in (0, 2)
    )
    for ours, theirs in zip(none, two, strict=True):
        for (name, a), (other, b) in zip(ours, theirs, strict=True):
            assert name == other
            np.testing.assert_array_equal(a, b)
    assert len({image.tobytes() for epoch in none for _, image in epoch}) == 40


@pytest.mark.parametrize('indices', [-3, [0, -1]])
def test_negative_indices_are_refused(phantom, indices):
    with pytest.raises(ValueError, match=r'names their places from 0, got -'):
        ChestXray14(str(phantom), indices=indices)
