"""Near-duplicates: distances as counted bit by bit, altered copies, and other films."""

import cv2
import numpy as np
import pytest
from conftest import ROOT

from mlrfnet_mm.reports.audit.images.hashes import (
    BYTES,
    CROPS,
    LIKELY,
    aligned_correlation,
    candidates,
    close_pairs,
    find_near_duplicates,
    hash_image,
)

SAMPLE = ROOT.parent / 'shared/data/ChestX-ray14-sample/images'


def brute_force(one, two, most):
    """Pairs and distances, one pair and one bit at a time."""
    bits = [[f'{int.from_bytes(row.tobytes(), "big"):b}' for row in part] for part in (one, two)]
    return {
        (i, j): d
        for i, a in enumerate(bits[0])
        for j, b in enumerate(bits[1])
        if (d := f'{int(a, 2) ^ int(b, 2):b}'.count('1')) <= most
    }


def random_hashes(n, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, BYTES), np.uint8)


def flip(row, bits, seed=0):
    """A hash that differs in so many bits."""
    unpacked = np.unpackbits(row)
    at = np.random.default_rng(seed).choice(len(unpacked), bits, replace=False)
    unpacked[at] ^= 1
    return np.packbits(unpacked)


@pytest.mark.parametrize('most', [0, 100, 128, 256])
def test_close_pairs_are_those_of_counted_bits(most, monkeypatch):
    monkeypatch.setattr('mlrfnet_mm.reports.audit.images.hashes.BLOCK', 7)
    monkeypatch.setattr('mlrfnet_mm.reports.audit.images.hashes.TILE', 5)
    one, two = random_hashes(23), random_hashes(17, 1)
    two[3], done = one[20], []
    found = {
        (i, j): d
        for block in close_pairs(one, two, most, False, done.append)
        for i, j, d in zip(*(part.tolist() for part in block), strict=True)
    }
    assert found == brute_force(one, two, most) and found
    assert sum(done) == 23


def test_candidates_are_each_pair_once_with_its_least_distance(monkeypatch):
    monkeypatch.setattr('mlrfnet_mm.reports.audit.images.hashes.BLOCK', 4)
    monkeypatch.setattr('mlrfnet_mm.reports.audit.images.hashes.TILE', 3)
    hashes = np.stack([random_hashes(11, seed) for seed in range(len(CROPS))], 1)
    hashes[9, 0] = flip(hashes[2, 0], 40)  # alike as they are
    hashes[5, 0] = flip(hashes[7, 2], LIKELY)  # 5 is like a crop of 7, at the limit
    hashes[6, 0] = flip(hashes[8, 1], LIKELY + 1)  # beyond it
    hashes[3, 0], hashes[3, 3] = flip(hashes[1, 0], 50), flip(hashes[1, 0], 10)
    found = candidates(hashes)
    assert found == {(2, 9): (40, 0), (7, 5): (LIKELY, 2), (3, 1): (10, 3)}


def film(seed, side=256):
    """A smooth random picture."""
    noise = np.random.default_rng(seed).standard_normal((side, side)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 12)
    return cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX).astype(np.uint8)


def altered(img, angle=0.0, scale=1.0):
    height, width = img.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, scale)
    return cv2.warpAffine(img, turn, (width, height), borderMode=cv2.BORDER_REFLECT)


def test_alignment_undoes_an_affine_map():
    one = cv2.resize(film(0), (64, 64), interpolation=cv2.INTER_AREA)
    turned = altered(one, 3, 1.05)
    plain = np.corrcoef(one.ravel(), turned.ravel())[0, 1]
    assert plain < 0.95 < 0.99 < aligned_correlation(one, turned, 0.0)
    assert aligned_correlation(one, np.zeros_like(one), 0.0) == -1


ALTERATIONS = {
    'same': lambda img: img,
    'rotated by 2°': lambda img: altered(img, 2),
    'cropped by 5 %': lambda img: img[13:-13, 13:-13],
    'jpeg': lambda img: cv2.imdecode(
        cv2.imencode('.jpg', img, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], cv2.IMREAD_GRAYSCALE
    ),
    'less contrast': lambda img: cv2.convertScaleAbs(img, alpha=0.8, beta=25),
}


@pytest.mark.parametrize('kind', ALTERATIONS)
def test_an_altered_copy_is_found_among_others(kind):
    pytest.importorskip('imagehash')
    images = [film(seed) for seed in range(6)]
    images.append(cv2.resize(ALTERATIONS[kind](images[4]), (256, 256)))
    hashes = np.stack([hash_image(img) for img in images])
    thumbs = [cv2.resize(img, (64, 64), interpolation=cv2.INTER_AREA) for img in images]
    pairs = find_near_duplicates(hashes, thumbs.__getitem__)
    assert [{pair.one, pair.two} for pair in pairs] == [{4, 6}]


def test_the_hash_is_that_of_imagehash():
    imagehash = pytest.importorskip('imagehash')
    from PIL import Image

    img = film(3)
    hashes = hash_image(img)
    assert hashes.shape == (len(CROPS), BYTES) and hashes.dtype == np.uint8
    assert hashes[0].tobytes().hex() == str(imagehash.phash(Image.fromarray(img), 16))
    inside = img[7:-7, 7:-7]  # 3 % of 256, rounded down
    assert hashes[1].tobytes().hex() == str(imagehash.phash(Image.fromarray(inside), 16))


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'imagehash', None)
    with pytest.raises(ImportError, match=r'--deep needs imagehash .*mlrfnet-mm\[audit\]'):
        hash_image(film(0))


@pytest.mark.slow
def test_other_films_of_real_chests_are_not_found():
    pytest.importorskip('imagehash')
    if not SAMPLE.is_dir():
        pytest.skip('the sample of ChestX-ray14 is not here')
    images = [cv2.imread(str(path), 0) for path in sorted(SAMPLE.glob('*.png'))[:120]]
    images = [cv2.resize(img, (256, 256), interpolation=cv2.INTER_AREA) for img in images]
    images.append(altered(images[50], 2))
    hashes = np.stack([hash_image(img) for img in images])
    thumbs = [cv2.resize(img, (64, 64), interpolation=cv2.INTER_AREA) for img in images]
    pairs = find_near_duplicates(hashes, thumbs.__getitem__)
    assert [{pair.one, pair.two} for pair in pairs] == [{50, 120}]
