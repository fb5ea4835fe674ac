"""Degraded images against numpy, scipy, torch and OpenCV's own files."""

import re

import cv2
import numpy as np
import pytest
import torch
from conftest import ROOT
from mmpretrain.registry import TRANSFORMS
from scipy.ndimage import gaussian_filter
from torch.nn.functional import avg_pool2d, interpolate

from mlrfnet_mm.datasets.transforms import degradation
from mlrfnet_mm.datasets.transforms.degradation import DEGRADATIONS, XrayDegradation


def smooth(shape=(96, 128), seed=0):
    """An image with structure, of mid gray levels, so that noise is not cut off."""
    noise = np.random.default_rng(seed).standard_normal(shape)
    img = gaussian_filter(noise, 3)
    return np.rint(128 + 25 * img / img.std()).clip(0, 255).astype(np.uint8)


def degraded(img, kind, strength, name='a/00000001_000.png'):
    return XrayDegradation(kind, strength)(dict(img=img, img_path=name))['img']


@pytest.mark.parametrize('snr', [12, 0])
def test_noise_has_the_standard_deviation_of_its_snr(snr):
    img = np.tile(smooth(), (4, 4))
    added = degraded(img, 'noise', snr).astype(float) - img
    inside = (img > 64) & (img < 192)  # 2.5 deviations from the ends of the scale
    expected = np.sqrt((img.std() / 10 ** (snr / 20)) ** 2 + 1 / 12)  # and that of rounding
    assert added[inside].std() == pytest.approx(expected, rel=0.02)
    assert abs(added[inside].mean()) < 0.2


def test_what_is_drawn_depends_on_the_name_alone():
    img = smooth()
    first = degraded(img, 'noise', 6)
    assert (degraded(img, 'noise', 6, 'another/00000001_000.png') == first).all()
    assert (degraded(img, 'noise', 6, 'a/00000001_001.png') != first).any()
    weak, strong = (degraded(img, 'noise', snr).astype(float) - img for snr in (12, 6))
    assert np.corrcoef(weak.ravel(), strong.ravel())[0, 1] > 0.99  # one noise, scaled


def test_an_image_id_is_the_name_where_there_is_one():
    """All files of CheXpert have the same few names."""
    path, step = 'patient1/study1/view1_frontal.jpg', XrayDegradation('noise', 6)
    items = [dict(img=smooth(), img_path=path, image_id=name) for name in ('p1/v', 'p2/v', 'p1/v')]
    first, second, again = (step(item)['img'] for item in items)
    assert (first == again).all() and (first != second).any()


def test_directions_differ_between_images():
    img = smooth()
    turns = {bytes(degraded(img, 'rotation', 10, f'{i}.png')) for i in range(20)}
    assert turns == {bytes(degradation.rotate(img, angle)) for angle in (10, -10)}
    assert len({bytes(degraded(img, 'translation', 10, f'{i}.png')) for i in range(20)}) > 10


def test_blur_is_a_gaussian_of_the_longer_side():
    img = smooth((90, 200))
    expected = gaussian_filter(img.astype(float), 200 * 1.6 / 100, mode='nearest', truncate=3)
    assert abs(degraded(img, 'blur', 1.6) - expected).max() <= 1.5


def test_jpeg_is_what_a_file_holds(tmp_path):
    img = smooth()
    cv2.imwrite(str(tmp_path / 'x.jpg'), img, [cv2.IMWRITE_JPEG_QUALITY, 10])
    expected = cv2.imread(str(tmp_path / 'x.jpg'), cv2.IMREAD_GRAYSCALE)
    np.testing.assert_array_equal(degraded(img, 'jpeg', 10), expected)
    assert (expected != img).any()


def test_gray_levels():
    img = smooth()
    mean = round(img.mean())
    expected = np.floor(0.4 * img.astype(float) + 0.6 * mean + 1e-4)
    assert abs(degraded(img, 'contrast', 0.4) - expected).max() == 0
    expected = np.rint(255 * (img / 255.0) ** 2.5)
    np.testing.assert_array_equal(degraded(img, 'gamma', 2.5), expected)


def test_a_rotation_moves_a_known_pixel_clockwise():
    img = np.zeros((101, 101), np.uint8)
    img[50, 90] = 255  # to the right of the center
    np.testing.assert_array_equal(degradation.rotate(img, 90), np.rot90(img, -1))
    assert np.argwhere(degradation.rotate(img, 90)).tolist() == [[90, 50]]
    turned = degradation.rotate(cv2.dilate(img, np.ones((3, 3), np.uint8)), 30).astype(float)
    rows, columns = np.indices(img.shape)
    center = [(turned * places).sum() / turned.sum() for places in (columns, rows)]
    angle = np.radians(30)
    assert center == pytest.approx([50 + 40 * np.cos(angle), 50 + 40 * np.sin(angle)], abs=0.1)


def test_a_shift_by_whole_pixels():
    img = smooth((50, 80))
    expected = np.zeros_like(img)
    expected[:-5, 8:] = img[5:, :-8]
    np.testing.assert_array_equal(degradation.translate(img, 10, -10), expected)


def test_a_border_lengthens_both_sides():
    img = smooth((50, 80))
    expected = np.pad(img, ((5, 5), (8, 8)))
    np.testing.assert_array_equal(degraded(img, 'border', 10), expected)


def test_resolution_is_a_mean_and_then_bilinear():
    img = smooth((96, 128))
    small = avg_pool2d(torch.from_numpy(img)[None, None].float(), 4).round()
    expected = interpolate(small, scale_factor=4, mode='bilinear')[0, 0].numpy()
    assert abs(degraded(img, 'resolution', 4) - expected).max() <= 1.01


@pytest.mark.parametrize(
    ('kind', 'strength'),
    [
        ('contrast', 1), ('gamma', 1), ('rotation', 0), ('translation', 0), ('border', 0),
        ('resolution', 1), ('noise', 80),
    ],
)  # fmt: skip
def test_no_degradation_is_the_image(kind, strength):
    img = smooth()
    np.testing.assert_array_equal(degraded(img, kind, strength), img)


@pytest.mark.parametrize('kind', DEGRADATIONS)
def test_five_strengths_that_grow(kind):
    img = smooth((203, 251))
    row = DEGRADATIONS[kind]
    low, high = row.limits
    assert len(row.strengths) == 5 and all(low <= s <= high for s in row.strengths)
    found = [degraded(img, kind, s) for s in row.strengths]
    assert all(x.dtype == np.uint8 and x.ndim == 2 for x in found)
    if kind == 'border':
        assert [x.shape[0] for x in found] == sorted({x.shape[0] for x in found})
        return
    distances = [np.abs(x.astype(float) - img).mean() for x in found]
    assert distances[-1] > distances[0] >= 0  # a blur of a quarter of a pixel is none
    if kind not in ('rotation', 'translation'):  # beyond the structure all are as far
        assert distances == sorted(distances)


def test_the_shape_is_that_of_the_degraded_image():
    results = dict(img=smooth((50, 80)), img_path='x.png', ori_shape=(50, 80))
    results = XrayDegradation('border', 10)(results)
    assert results['ori_shape'] == results['img_shape'] == (60, 96)


@pytest.mark.parametrize(
    ('kind', 'strength', 'message'),
    [
        ('fog', 1, "one of noise, blur, .*, got 'fog'"),
        ('jpeg', 0, 'jpeg must be 1 to 100, got 0'),
        ('contrast', 1.5, 'contrast must be 0 to 1, got 1.5'),
        ('noise', float('nan'), 'noise must be -40 to 80, got nan'),
    ],
)
def test_wrong_arguments(kind, strength, message):
    with pytest.raises(ValueError, match=message):
        XrayDegradation(kind, strength)


def test_color_is_refused():
    with pytest.raises(TypeError, match='gray uint8 array'):
        XrayDegradation('blur', 1)(dict(img=np.zeros((8, 8, 3), np.uint8), img_path='x.png'))


def test_it_builds_from_a_config():
    step = TRANSFORMS.build(dict(type='mlrfnet_mm.XrayDegradation', kind='jpeg', strength=20))
    assert repr(step) == "XrayDegradation(kind='jpeg', strength=20)"


def test_the_document_has_these_strengths():
    page = (ROOT / 'docs/robustness.md').read_text()
    for kind in DEGRADATIONS.values():
        row = re.search(rf'^\| {kind.title} \| (.*?) \|', page, re.M)
        found = [float(x) for x in re.findall(r'\d+(?:\.\d+)?', row[1])]
        assert found == list(kind.strengths), kind.title
