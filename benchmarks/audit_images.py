"""Recall and false alarms of mlrfnet audit on images: python benchmarks/audit_images.py DIR.

DIR holds PNGs of different films. Each alteration is made of every image and looked at as the audit
does: for duplicates next to its original, for orientation with one image in twenty altered. The
false alarms are what is found among the images as they are. ``--random N`` times the search for
pairs among N random hashes instead; ``--rate`` the looking, next to the prepared store's decoding.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from mlrfnet_mm.datasets.store.preparation import prepare_store
from mlrfnet_mm.reports.audit.images.hashes import (
    ALIGNED,
    BYTES,
    CROPS,
    SURE,
    aligned_correlation,
    candidates,
    find_near_duplicates,
    hash_image,
)
from mlrfnet_mm.reports.audit.images.pictures import judge_orientation, orientations, standardize
from mlrfnet_mm.reports.audit.images.scan import SIZE, THUMBNAIL, scan
from mlrfnet_mm.xrays.geometry import fit
from mlrfnet_mm.xrays.gray import read_gray


def rotate(img: np.ndarray, angle: float) -> np.ndarray:
    """Turn about the center; black corners."""
    height, width = img.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1)
    return cv2.warpAffine(img, turn, (width, height), flags=cv2.INTER_LINEAR)


def crop(img: np.ndarray, share: float, corner: bool = False) -> np.ndarray:
    """Leave out a share of the side on each side, or at the upper left corner alone."""
    height, width = img.shape
    top, left = int(height * share), int(width * share)
    return img[top:, left:] if corner else img[top : height - top, left : width - left]


def jpeg(img: np.ndarray, quality: int) -> np.ndarray:
    """Write as JPEG and read again."""
    data = cv2.imencode('.jpg', img, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return read_gray(data.tobytes())


def contrast(img: np.ndarray, factor: float) -> np.ndarray:
    """Stretch about the middle gray; what leaves 0 to 255 is cut off."""
    return cv2.convertScaleAbs(img.clip(0, 255), alpha=factor, beta=127.5 * (1 - factor))


ALTERATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    'JPEG, quality 70': lambda img: jpeg(img, 70),
    'rotated by 2°': lambda img: rotate(img, 2),
    'rotated by -2°': lambda img: rotate(img, -2),
    'rotated by 5°': lambda img: rotate(img, 5),
    'cropped by 2 % on each side': lambda img: crop(img, 0.02),
    'cropped by 5 % on each side': lambda img: crop(img, 0.05),
    'cropped by 10 % on each side': lambda img: crop(img, 0.10),
    'cropped by 5 % at one corner': lambda img: crop(img, 0.05, corner=True),
    'contrast + 20 %': lambda img: contrast(img, 1.2),
    'contrast - 20 %': lambda img: contrast(img, 0.8),
    'gamma 0.7': lambda img: (255 * (img / 255) ** 0.7).round().astype(np.uint8),
    'local equalization (CLAHE 2)': lambda img: cv2.createCLAHE(2, (8, 8)).apply(img),
    'half the size': lambda img: fit(img, len(img) // 2),
    'mirrored': lambda img: np.ascontiguousarray(img[:, ::-1]),
}
POSES: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    'inverted': ('inverted', lambda img: 255 - img),
    'turned by 90°': ('rotated', lambda img: np.rot90(img)),
    'turned by 180°': ('rotated', lambda img: np.rot90(img, 2)),
    'turned by 270°': ('rotated', lambda img: np.rot90(img, 3)),
}


def is_found(one: np.ndarray, two: np.ndarray, thumbs: tuple[np.ndarray, np.ndarray]) -> bool:
    """Whether an image and its altered copy are a pair, in either order."""
    pairs = find_near_duplicates(np.stack([one, two]), thumbs.__getitem__)
    return bool(pairs)


def duplicates(images: list[np.ndarray]) -> None:
    """Print recall of each alteration, and false alarms among the images."""
    small = [fit(img, SIZE) for img in images]
    hashes = np.stack([hash_image(img) for img in small])
    thumbs = [fit(img, THUMBNAIL) for img in small]
    print(f'{len(images):,} images; at most {SURE} bits, or correlation {ALIGNED} aligned\n')
    print('| alteration | found |\n|---|---|')
    for name, alter in ALTERATIONS.items():
        found = 0
        for img, own, thumb in zip(images, hashes, thumbs, strict=True):
            other = fit(alter(img), SIZE)
            found += is_found(own, hash_image(other), (thumb, fit(other, THUMBNAIL)))
        print(f'| {name} | {found / len(images):.1%} |', flush=True)
    near = candidates(hashes)
    pairs = find_near_duplicates(hashes, thumbs.__getitem__)
    total = len(images) * (len(images) - 1) // 2
    print(f'\nfalse alarms: {len(pairs)} of {total:,} pairs; {len(near)} were aligned to tell')
    alike = [
        aligned_correlation(thumbs[i], thumbs[j], CROPS[level])
        for (i, j), (_, level) in near.items()
    ]
    print(f'greatest correlation among them: {max(alike, default=np.nan):.3f}')


def poses(images: list[np.ndarray]) -> None:
    """Print how many of the images, one in twenty altered, are told to be so."""
    small = np.stack([fit(fit(img, SIZE), THUMBNAIL) for img in images])
    judged = judge_orientation(orientations(standardize(small)))
    print('\n| | found | called another |\n|---|---|---|')
    for name, (kind, alter) in POSES.items():
        kinds = []
        for first in range(20):
            altered = small.copy()
            for i in range(first, len(small), 20):
                altered[i] = alter(small[i])
            told = judge_orientation(orientations(standardize(altered)))
            kinds += [told[i][0] for i in range(first, len(small), 20)]
        hit = np.mean([k == kind for k in kinds])
        other = np.mean([k not in (kind, '') for k in kinds])
        print(f'| {name} | {hit:.1%} | {other:.1%} |', flush=True)
    counts = {kind: sum(k == kind for k, _ in judged) for kind in ('inverted', 'rotated')}
    print(f'\nof the {len(images):,} images as they are: {counts}')


def search_time(count: int) -> None:
    """Print how long the search among random hashes takes."""
    hashes = np.random.default_rng(0).integers(0, 256, (count, len(CROPS), BYTES), np.uint8)
    start = time.perf_counter()
    found = candidates(hashes)
    seconds = time.perf_counter() - start
    print(f'{count:,} images, {len(CROPS)} hashes each: {seconds:.1f} s, {len(found)} candidates')


def rate(paths: list[str]) -> None:
    """Print images per second of looking, and of preparing a store, by one process each."""
    root = Path(paths[0]).parent
    names = [Path(path).name for path in paths]
    hash_image(np.zeros((SIZE, SIZE), np.uint8))  # imports the library
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        scan(paths, Path(folder) / 'audit', 1)
        middle = time.perf_counter()
        prepare_store(root, names, Path(folder) / 'store', SIZE, 1)
        end = time.perf_counter()
    n = len(paths)
    print(f'{n:,} images: audit {n / (middle - start):.0f}/s, store {n / (end - middle):.0f}/s')


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split('\n\n')[0])
    parser.add_argument('folder', type=Path)
    parser.add_argument('--most', type=int, default=10**6, help='images, at most')
    parser.add_argument('--random', type=int, help='time the search among so many random hashes')
    parser.add_argument('--rate', action='store_true', help='time the looking')
    args = parser.parse_args()
    cv2.setNumThreads(1)
    paths = sorted(str(path) for path in args.folder.glob('*.png'))[: args.most]
    if args.random:
        search_time(args.random)
    elif args.rate:
        rate(paths)
    else:
        images = [read_gray(path) for path in paths]
        duplicates(images)
        poses(images)


if __name__ == '__main__':
    main()
