"""Localisation against formulas on masks, scipy's components, and a plain bootstrap."""

import numpy as np
import pytest
from scipy import ndimage

from mlrfnet_mm.evaluation.localisation import (
    DICE_THRESHOLDS,
    LEVELS,
    best_threshold,
    detect,
    dice_curve,
    grouped_means,
    localise,
    measures,
    normalize,
    overlaps,
    peak,
    size_terciles,
)


def mask(box, shape=(40, 50)):
    x, y, w, h = map(int, box)
    out = np.zeros(shape, bool)
    out[y : y + h, x : x + w] = True
    return out


def test_overlaps_equal_counted_pixels():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 25, (200, 2))
    boxes = np.concatenate([low, rng.integers(1, 15, (200, 2))], 1).astype(float)
    target = boxes[0]
    iou, iobb = overlaps(boxes, target)
    for box, a, b in zip(boxes, iou, iobb, strict=True):
        shared = (mask(box) & mask(target)).sum()
        assert a == pytest.approx(shared / (mask(box) | mask(target)).sum())
        assert b == pytest.approx(shared / mask(box).sum())  # of the detected box, not the target
    assert iou[0] == iobb[0] == 1


@pytest.mark.parametrize('seed', range(3))
def test_detections_are_the_components_of_both_levels(seed):
    rng = np.random.default_rng(seed)
    heat = ndimage.gaussian_filter(rng.normal(size=(40, 50)), 3)
    scaled = (heat - heat.min()) / np.ptp(heat)
    expected = []
    for level in (60 / 255, 180 / 255):  # Wang et al.
        labels, _ = ndimage.label(scaled >= level, np.ones((3, 3)))
        for rows, columns in ndimage.find_objects(labels):
            x, y = columns.start, rows.start
            expected.append((x, y, columns.stop - x, rows.stop - y))
    assert sorted(map(tuple, detect(heat))) == sorted(expected)


def test_scale_and_shift_of_the_map_change_nothing():
    heat = np.random.default_rng(1).random((20, 20)).astype(np.float32)
    np.testing.assert_array_equal(detect(heat), detect(7 * heat - 3))


def test_flat_map_points_nowhere():
    result = localise(np.full((8, 8), 0.3), (0, 0, 8, 8))
    assert not result.hit and len(result.iou) == 0
    assert peak(np.zeros((3, 3))) is None


def test_outside_the_crop_is_no_map():
    heat = np.full((10, 10), np.nan)
    heat[2:8, 2:8] = 0.0
    heat[3, 6] = 5.0
    assert peak(heat) == (6.5, 3.5)
    assert detect(heat).tolist() == [[6, 3, 1, 1]] * len(LEVELS)
    assert np.isnan(normalize(heat)[0, 0])


@pytest.mark.parametrize('bad', [np.full((2, 2), np.nan), np.array([[0.0, np.inf]])])
def test_maps_without_values_are_refused(bad):
    with pytest.raises(ValueError, match='finite'):
        normalize(bad)


def test_peak_at_the_boxes_edge_counts():
    heat = np.zeros((6, 6))
    heat[2, 3] = 1  # center at (3.5, 2.5)
    assert localise(heat, (3.5, 2.5, 1, 1)).hit
    assert not localise(heat, (3.6, 2.5, 1, 1)).hit


def test_measures_count_hits_and_false_positives():
    heat = np.zeros((20, 20))
    heat[2:6, 2:6] = 1.0  # 16 pixels, at both levels: two detections
    heat[15:17, 15:17] = 0.5  # at the lower level: one
    found = measures([localise(heat, (2, 2, 4, 8))], (0.1, 0.5))
    assert {k: v.tolist() for k, v in found.items()} == {
        'pointing': [1], 'iou@0.1': [1], 'iou_fp@0.1': [1], 'iou@0.5': [0], 'iou_fp@0.5': [3],
        'iobb@0.1': [1], 'iobb_fp@0.1': [1], 'iobb@0.5': [1], 'iobb_fp@0.5': [1],
    }  # fmt: skip


def test_terciles():
    tercile, edges = size_terciles(np.array([5.0, 1, 9, 2, 8, 4, 7, 3, 6]))
    assert tercile.tolist() == [1, 0, 2, 0, 2, 1, 2, 0, 1]
    assert edges.tolist() == pytest.approx([3 + 2 / 3, 6 + 1 / 3])


def test_bootstrap_draws_patients():
    rng = np.random.default_rng(0)
    patients = rng.integers(0, 12, 60)
    values = rng.random((60, 2))
    groups = dict(all=np.ones(60, bool), some=rng.random(60) < 0.3, none=np.zeros(60, bool))
    means, draws = grouped_means(values, groups, patients, replicates=4000, seed=3)
    np.testing.assert_allclose(means[0], values.mean(0))
    np.testing.assert_allclose(means[1], values[groups['some']].mean(0))
    assert np.isnan(means[2]).all() and np.isnan(draws[:, 2]).all()
    # the plain way: concatenate the boxes of the patients drawn
    plain = []
    for _ in range(4000):
        drawn = rng.choice(np.unique(patients), 12)
        plain.append(np.concatenate([values[patients == p] for p in drawn]).mean(0))
    np.testing.assert_allclose(draws[:, 0].std(0), np.std(plain, 0), rtol=0.06)


def test_a_value_at_the_level_is_in():
    heat = np.zeros((3, 9), np.float32)
    heat[1, 1], heat[1, 4], heat[1, 7] = 60, 180, 255
    assert detect(heat).tolist() == [[x, 1, 1, 1] for x in (1, 4, 7, 4, 7)]


def test_regions_that_touch_at_corners_are_one():
    assert detect(np.eye(4)).tolist() == [[0, 0, 4, 4]] * 2


def test_equal_areas_stay_in_the_smaller_tercile():
    tercile, edges = size_terciles(np.array([1.0, 1, 2, 2, 3, 3, 4]))
    assert edges.tolist() == [2, 3] and tercile.tolist() == [0, 0, 0, 0, 1, 1, 2]


def test_a_peak_on_the_far_edges_is_in_the_box():
    heat = np.zeros((6, 6))
    heat[2, 3] = 1  # its center is at (3.5, 2.5)
    assert localise(heat, (2.5, 1.5, 1, 1)).hit
    assert not localise(heat, (2.4, 1.5, 1, 1)).hit
    assert not localise(heat, (2.5, 1.4, 1, 1)).hit


def test_the_seed_decides_the_replicates():
    rng = np.random.default_rng(0)
    data = rng.random((60, 2)), dict(all=np.ones(60, bool)), rng.integers(0, 12, 60)
    first, again, other = (grouped_means(*data, 20, seed)[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.parametrize('seed', range(3))
def test_dice_is_counted_at_every_threshold(seed):
    rng = np.random.default_rng(seed)
    heat = rng.random((30, 40)).astype(np.float32)
    heat[:, :5] = np.nan  # beyond the crop: never found, and missed where the region has it
    region = mask((2, 3, 20, 12), (30, 40))
    scaled = (heat - np.nanmin(heat)) / (np.nanmax(heat) - np.nanmin(heat))
    curve = dice_curve(heat, region)
    for t, value in zip(DICE_THRESHOLDS, curve, strict=True):
        found = np.nan_to_num(scaled, nan=-1) >= np.float32(t)
        expected = 2 * (found & region).sum() / (found.sum() + region.sum())
        assert value == pytest.approx(expected)


def test_dice_of_a_perfect_and_of_a_flat_map():
    region = mask((2, 3, 20, 12))
    assert (dice_curve(region.astype(float), region) == 1).all()
    assert (dice_curve(np.full(region.shape, 0.3), region) == 0).all()


def test_the_best_threshold_is_that_of_the_mean():
    curves = np.zeros((2, len(DICE_THRESHOLDS)))
    curves[0, 3], curves[1, 5], curves[:, 7] = 0.8, 0.8, 0.5
    assert best_threshold(curves) == DICE_THRESHOLDS[7]
    assert best_threshold(np.zeros_like(curves)) == DICE_THRESHOLDS[0]


def test_the_peak_must_lie_in_the_region_itself():
    heat = np.zeros((20, 20))
    heat[5, 5] = 1
    region = np.zeros((20, 20), bool)
    region[10, 5:15] = region[5:15, 10] = True  # a cross whose box has the peak
    box = (5, 5, 10, 10)
    assert localise(heat, box).hit and not localise(heat, box, region=region).hit
    region[5, 5] = True
    assert localise(heat, box, region=region).hit
    assert not localise(np.zeros((20, 20)), box, region=region).hit  # flat
