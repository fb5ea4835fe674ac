"""mmpretrain's random transforms with repeatable draws, and RandAugment in ranges for X-rays."""

import random

import cv2
import numpy as np
import pytest
from conftest import ROOT
from mmengine.registry import TRANSFORMS, DefaultScope

from mlrfnet_mm.datasets.transforms import SeededCompose
from mlrfnet_mm.engine.launch import read_config

BASE = ROOT / 'configs/_base_/augment/xray_randaugment.py'
SIDE = 64


class Draw:
    """Notes a number of each generator."""

    def __call__(self, results):
        return {**results, 'drawn': (*results.get('drawn', ()), np.random.rand(), random.random())}


def item(draw=(0, 0, 0)):
    grid = np.mgrid[:SIDE, :SIDE]
    img = cv2.GaussianBlur((60 + grid[0] + 2 * grid[1]).clip(0, 255).astype(np.uint8), (5, 5), 0)
    return dict(img=img, **({} if draw is None else dict(draw=draw)))


def drawn(draw=(0, 0, 0), step=None):
    return (step or SeededCompose([Draw()]))(item(draw))['drawn']


def test_draws_depend_on_the_item_alone():
    first = drawn()
    np.random.seed(3)
    assert drawn() == first
    others = [drawn(draw) for draw in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    assert len({first, *others}) == 4


def test_several_draw_different_numbers():
    one, two = SeededCompose([Draw()]), SeededCompose([Draw()])
    both = two(one(item()))['drawn']
    assert len(set(both)) == 4


def test_the_generators_are_as_before(monkeypatch):
    np.random.seed(5)
    random.seed(5)
    expected = np.random.rand(), random.random()
    np.random.seed(5)
    random.seed(5)
    drawn()

    def fail(results):
        raise RuntimeError

    with pytest.raises(RuntimeError):
        SeededCompose([fail])(item())
    assert (np.random.rand(), random.random()) == expected


def test_without_draws_of_the_item_numbers_come_from_numpy():
    np.random.seed(5)
    first, second = drawn(None), drawn(None)
    assert first != second
    np.random.seed(5)
    assert drawn(None) == first


@pytest.fixture(scope='module')
def randaugment():
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        return TRANSFORMS.build(read_config(BASE).xray_randaugment)


def policies():
    (step,) = read_config(BASE).xray_randaugment.transforms
    return step.policies


@pytest.mark.parametrize('policy', policies(), ids=lambda p: f'{p.type}-{p.get("direction")}')
def test_each_policy_takes_a_gray_image(policy):
    step = read_config(BASE).xray_randaugment.to_dict()
    step['transforms'][0].update(policies=[policy.to_dict()], num_policies=1)
    transform = TRANSFORMS.build(step)
    images = [transform(item((0, 0, i)))['img'] for i in range(20)]
    assert {(x.shape, x.dtype) for x in images} == {((SIDE, SIDE), np.dtype(np.uint8))}
    changed = np.mean([not np.array_equal(x, item()['img']) for x in images])
    assert changed > 0 and (changed < 1 or 'Contrast' in policy.type)


def test_randaugment_is_repeatable_and_varied(randaugment):
    images = [randaugment(item((0, e, i)))['img'].tobytes() for e in range(2) for i in range(8)]
    again = [randaugment(item((0, e, i)))['img'].tobytes() for e in range(2) for i in range(8)]
    assert images == again and len(set(images)) > 8


def test_it_stays_an_x_ray(randaugment):
    """Nothing is inverted: what was bright stays brighter, and the mean is near."""
    before = item()['img'].astype(float)
    middle = slice(16, 48)
    for i in range(200):
        after = randaugment(item((1, 0, i)))['img'].astype(float)
        inner = np.corrcoef(before[middle, middle].ravel(), after[middle, middle].ravel())
        assert inner[0, 1] > 0.9
        assert 0.6 < after[middle, middle].mean() / before[middle, middle].mean() < 1.5


def test_a_config_of_two_lines_has_it(tmp_path):
    path = tmp_path / 'leaf.py'
    path.write_text(
        f"_base_ = ['{ROOT}/configs/mlrfnet_xray14.py', '{BASE}']\n"
        '_base_.train_dataloader.dataset.pipeline[2] = _base_.xray_randaugment\n'
    )
    lines = BASE.read_text()
    assert 'train_dataloader.dataset.pipeline[2] = _base_.xray_randaugment' in lines
    cfg = read_config(path)
    kinds = [step.type for step in cfg.train_dataloader.dataset.pipeline]
    assert kinds == [
        'mlrfnet_mm.LoadXray',
        'mlrfnet_mm.XrayGeometry',
        'mlrfnet_mm.SeededCompose',
        'mmpretrain.PackInputs',
    ]
    assert 'SeededCompose' not in str(cfg.val_dataloader) + str(cfg.test_dataloader)
