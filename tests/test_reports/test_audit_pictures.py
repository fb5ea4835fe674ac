"""Single images: frames, blanks, orientation."""

import numpy as np
import pytest
from conftest import ROOT

from mlrfnet_mm.reports.audit.images.pictures import (
    SMALL,
    Frame,
    frame_of,
    frame_share,
    gray_levels,
    is_blank,
    judge_orientation,
    orientations,
    standardize,
)

SAMPLE = ROOT.parent / 'shared/data/ChestX-ray14-sample/images'


def noise(seed=0, shape=(40, 50)):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


@pytest.mark.parametrize('frame', [(0, 0, 0, 0), (3, 0, 0, 0), (0, 4, 0, 0), (1, 2, 5, 6)])
def test_a_frame_is_measured(frame):
    img = noise()
    top, bottom, left, right = frame
    img[:top], img[40 - bottom :], img[:, :left], img[:, 50 - right :] = 7, 7, 7, 7
    assert frame_of(img) == frame
    inside = (40 - top - bottom) * (50 - left - right)
    assert frame_share(Frame(*frame), 40, 50) == pytest.approx(1 - inside / 2000)


def test_a_blank_image_is_all_frame():
    assert frame_of(np.full((40, 50), 9, np.uint8)) == (20, 20, 25, 25)


def test_blank():
    one = np.full((10, 10), 3, np.uint8)
    one[0, :2] = 200
    for img, blank in ((one, True), (noise(), False), (noise() // 50 + 100, True)):
        mean, deviation, share = gray_levels(img)
        assert (mean, deviation) == pytest.approx((img.mean(), img.std()))
        assert share == pytest.approx(np.unique(img, return_counts=True)[1].max() / img.size)
        assert is_blank(share, deviation) == blank
    one[0, 2] = 200  # 97 % of one gray level
    assert not is_blank(0.97, one.std())


def test_small_images_have_mean_0_and_deviation_1():
    images = noise(shape=(3, 64, 64))
    small = standardize(images)
    cells = images.reshape(3, SMALL, 4, SMALL, 4).mean((2, 4))
    expected = (cells - cells.mean((1, 2), keepdims=True)) / cells.std((1, 2), keepdims=True)
    np.testing.assert_allclose(small, expected, atol=1e-5)
    assert not standardize(np.zeros((1, 64, 64), np.uint8)).any()


def chests(n=40, seed=0):
    """Images that lie alike: bright below, dark to the left, with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:64, :64] / 64
    plain = 120 * y + 60 * (x > 0.5) * (y < 0.6)
    return (plain + rng.normal(0, 12, (n, 64, 64)) + 30).clip(0, 255).astype(np.uint8)


def judged(images):
    return [kind for kind, _ in judge_orientation(orientations(standardize(images)))]


def test_upright_images_are_left_alone():
    assert judged(chests()) == [''] * 40


@pytest.mark.parametrize('turns', [1, 2, 3])
@pytest.mark.parametrize('mirrored', [False, True])
def test_a_turned_image_is_found(turns, mirrored):
    images = chests()
    turned = np.rot90(images[5], turns)
    images[5] = turned[:, ::-1] if mirrored else turned
    found = judge_orientation(orientations(standardize(images)))
    assert [i for i, (kind, _) in enumerate(found) if kind] == [5] and found[5][0] == 'rotated'


def test_how_it_is_turned_back_is_said():
    images = chests()
    images[5] = np.rot90(images[5], -1)  # lies clockwise
    assert (
        'turned 90° counterclockwise' in judge_orientation(orientations(standardize(images)))[5][1]
    )


def test_an_inverted_image_is_found():
    images = chests()
    images[[3, 30]] = 255 - images[[3, 30]]
    # upside down, this gradient is its own negative: only the side tells them apart
    found = judged(images)
    assert [i for i, kind in enumerate(found) if kind] == [3, 30]


def test_the_rules():
    """Upright, then the best of 90, 180 and 270°."""
    table = np.array(
        [[0.7, 0.1, 0.75, 0.2], [0.5, 0.61, 0, 0], [-0.1, 0.4, 0, 0], [-0.1, 0, 0.6, 0]]
    )
    kinds = [kind for kind, _ in judge_orientation(table)]
    assert kinds == ['', 'rotated', 'inverted', 'rotated']


@pytest.mark.slow
def test_real_chests():
    """Of 300 real images, one in twenty inverted or turned, nearly all are told and few others."""
    cv2 = pytest.importorskip('cv2')
    if not SAMPLE.is_dir():
        pytest.skip('the sample of ChestX-ray14 is not here')
    paths = sorted(SAMPLE.glob('*.png'))[:300]
    images = np.stack([cv2.resize(cv2.imread(str(p), 0), (64, 64)) for p in paths])
    before = judged(images)
    images[::20] = 255 - images[::20]
    images[10::20] = np.rot90(images[10::20], 2, (1, 2))
    after = judged(images)
    assert after[::20].count('inverted') >= 14 and after[10::20].count('rotated') >= 14  # of 15
    assert sum(map(bool, before)) <= 6
