"""Perceptual hashes of X-rays, and the pairs among them that are one film.

The hash is imagehash's pHash of 16 × 16 (the signs of the lowest frequencies of a cosine transform,
about their median; Zauner, "Implementation and benchmarking of perceptual image hash functions",
2010, http://phash.org/docs/pubs/thesis_zauner.pdf). All chests look alike to a hash, and what it
loses by a turn of 2° is as much as what two patients differ by. So a small distance is believed, a
middle one is checked: the thumbnails are aligned by an affine map (ECC; Evangelidis & Psarakis,
IEEE TPAMI 2008, https://doi.org/10.1109/TPAMI.2008.113) and must then correlate. An image is also
hashed without its outer 3, 6 and 9 % on each side, which finds those that were cropped.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

SIDE = 16  # of the hash: 256 bits
CROPS = (0.0, 0.03, 0.06, 0.09)  # share of the side that is left out, on each side
BYTES = SIDE * SIDE // 8
SURE, LIKELY = 36, 60  # bits; measured in docs/audit.md
ALIGNED = 0.985  # least correlation after alignment
STEPS = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
BLOCK, TILE = 1024, 4096  # hashes of a matrix product


class Pair(NamedTuple):
    """Two images that are likely one film."""

    one: int
    two: int
    distance: int  # bits of 256 in which the hashes differ
    correlation: float  # of the aligned thumbnails; NaN: the distance alone was enough


def hash_image(img: np.ndarray) -> np.ndarray:
    """Hashes of an image and of its crops, uint8 (len(CROPS), BYTES).

    Args:
        img: gray, uint8 (H, W), of some 256 pixels a side.

    Raises:
        ImportError: imagehash is not installed.
    """
    try:
        from imagehash import phash
    except ImportError as error:
        raise ImportError(
            f"--deep needs imagehash ({error}): pip install 'mlrfnet-mm[audit]'"
        ) from error
    height, width = img.shape
    bits = []
    for share in CROPS:
        top, left = int(height * share), int(width * share)
        part = Image.fromarray(img[top : height - top, left : width - left])
        bits.append(phash(part, SIDE).hash.ravel())
    return np.packbits(np.stack(bits), axis=1)


def signs(hashes: np.ndarray) -> np.ndarray:
    """Packed bits (N, BYTES) as float32 (N, 256) of -1 and 1."""
    return np.unpackbits(hashes, axis=1).astype(np.float32) * 2 - 1


def close_pairs(
    hashes: np.ndarray,
    others: np.ndarray,
    most: int,
    half: bool,
    progress: Callable[[int], None],
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield indices (i, j) and Hamming distances of hashes that differ in ``most`` bits at most.

    Two vectors of signs have the product 256 - 2 d: a matrix product finds all distances of a
    block, exactly, as fast as the processor multiplies.

    Args:
        hashes: uint8 (N, BYTES).
        others: uint8 (M, BYTES).
        most: bits.
        half: both are the same hashes: a pair is wanted in one order, whichever.
        progress: called with the number of hashes done.
    """
    right = signs(others).T  # (256, M)
    width = len(right)
    for start in range(0, len(hashes), BLOCK):
        left = signs(hashes[start : start + BLOCK])
        for begin in range(start // TILE * TILE if half else 0, len(others), TILE):
            product = left @ right[:, begin : begin + TILE]  # small enough for the cache
            near = product >= width - 2 * most
            if near.any():
                i, j = np.nonzero(near)
                yield i + start, j + begin, ((width - product[i, j]) / 2).astype(int)
        progress(len(left))


def candidates(
    hashes: np.ndarray, progress: Callable[[int], None] = lambda done: None
) -> dict[tuple[int, int], tuple[int, int]]:
    """Pairs whose distance is at most ``LIKELY`` whole or with one of them cropped.

    Args:
        hashes: uint8 (N, len(CROPS), BYTES).
        progress: called with the number of hashes done, of N × len(CROPS).

    Returns:
        (cropped, other) → (distance, index in CROPS), the smallest distance of each pair.
    """
    best: dict[tuple[int, int], tuple[int, int]] = {}
    for level in range(len(CROPS)):
        for block in close_pairs(hashes[:, level], hashes[:, 0], LIKELY, level == 0, progress):
            for i, j, distance in zip(*(part.tolist() for part in block), strict=True):
                if i == j or (level == 0 and i > j):
                    continue
                turned = best.get((j, i))
                if turned is not None and turned[0] <= distance:
                    continue
                if distance < best.get((i, j), (LIKELY + 1, 0))[0]:
                    best.pop((j, i), None)
                    best[i, j] = distance, level
    return best


def aligned_correlation(one: np.ndarray, two: np.ndarray, share: float) -> float:
    """Correlation of two thumbnails after an affine map of the one onto the other; -1 for none.

    Args:
        one: gray, uint8 (S, S).
        two: the same; supposed to be ``one`` without its outer ``share``, where the search begins.
        share: of the side.
    """
    scale, center = 1 - 2 * share, (len(one) - 1) / 2
    start = np.array([[scale, 0, center * (1 - scale)], [0, scale, center * (1 - scale)]])
    try:
        correlation, _ = cv2.findTransformECC(  # type: ignore[call-overload]
            two.astype(np.float32),
            one.astype(np.float32),
            start.astype(np.float32),
            cv2.MOTION_AFFINE,
            STEPS,
            None,
            3,
        )
    except cv2.error:  # no alignment was found
        return -1.0
    return float(correlation)


def find_near_duplicates(
    hashes: np.ndarray,
    thumbnail: Callable[[int], np.ndarray],
    progress: Callable[[int], None] = lambda done: None,
) -> list[Pair]:
    """Pairs that are likely one film, the most alike first.

    Args:
        hashes: uint8 (N, len(CROPS), BYTES).
        thumbnail: gives the thumbnail of an image, uint8 (S, S).
        progress: see :func:`candidates`.
    """
    pairs = []
    for (i, j), (distance, level) in candidates(hashes, progress).items():
        if distance <= SURE and level == 0:
            pairs.append(Pair(i, j, distance, np.nan))
            continue
        correlation = aligned_correlation(thumbnail(i), thumbnail(j), CROPS[level])
        if correlation >= ALIGNED:
            pairs.append(Pair(i, j, distance, correlation))
    return sorted(pairs, key=lambda pair: (pair.distance, pair.one, pair.two))
