"""Whether two sets differ, where a patient has several images: whole patients are shuffled.

Under the null hypothesis a patient could as well have come in the other set. So whole patients
change sides, their numbers in both sets kept; a patient with images in both swaps the two parts
with probability 1/2. The p-value is the share of shuffles with a statistic at least as great, one
added to numerator and denominator (Phipson & Smyth, Statistical Applications in Genetics and
Molecular Biology 9, 2010, https://doi.org/10.2202/1544-6115.1585). Tests that take images for
independent find differences between halves of one set, see docs/another-site.md.
"""

import numpy as np

EQUAL = 1e-9  # statistics that differ by less are equal: sums in another order


def shuffle_sides(
    patients: np.ndarray, second: np.ndarray, replicates: int = 1000, seed: int = 0
) -> np.ndarray:
    """Which images are in the second set after each shuffle.

    Args:
        patients: (N,) patient of each image of both sets.
        second: (N,) bool, whether an image is in the second set.
        replicates: number of shuffles R.
        seed: of the random numbers.

    Returns:
        (R, N) bool.

    Raises:
        ValueError: no image in one of the sets, less than one shuffle.
    """
    if replicates < 1:
        raise ValueError(f'replicates must be at least 1, got {replicates}')
    if second.all() or not second.any():
        raise ValueError('two sets are needed, and one of them has no image')
    names, index = np.unique(patients, return_inverse=True)
    in_second = np.bincount(index, second, len(names)) > 0
    both = in_second & (np.bincount(index, ~second, len(names)) > 0)
    single = np.flatnonzero(~both)
    rng = np.random.default_rng(seed)
    sides = np.empty((replicates, len(second)), bool)
    for row in sides:
        side = np.empty(len(names), bool)
        side[single] = rng.permutation(in_second[single])
        swapped = rng.random(len(names)) < 0.5
        row[:] = np.where(both[index], second ^ swapped[index], side[index])
    return sides


def ks_statistics(values: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Kolmogorov and Smirnov's greatest distance of both sets' shares below a value.

    Args:
        values: (N,) without NaN.
        sides: (R, N) bool, see :func:`shuffle_sides`.

    Returns:
        (R,); NaN where one of the sets is empty.
    """
    n, order = len(values), np.argsort(values, kind='stable')
    last = np.append(np.diff(values[order]) > 0, True)  # the last of equal values
    below = np.flatnonzero(last) + 1.0
    found = np.full(len(sides), np.nan)
    for r, side in enumerate(sides):  # row by row: a row stays in the cache
        second = np.cumsum(side[order], dtype=np.int32)[last]
        total = int(second[-1])
        if 0 < total < n:
            # second / total - (below - second) / (n - total), multiplied by its denominators
            gaps = second - below * (total / n)
            found[r] = max(gaps.max(), -gaps.min()) * n / (total * (n - total))
    return found


def chi_square_statistics(categories: np.ndarray, sides: np.ndarray) -> np.ndarray:
    """Pearson's chi-square of a table of two sets by categories.

    Args:
        categories: (N,) names or numbers.
        sides: (R, N) bool, see :func:`shuffle_sides`.

    Returns:
        (R,); NaN where one of the sets is empty.
    """
    names, index = np.unique(categories, return_inverse=True)
    total = np.bincount(index, minlength=len(names))  # (C,)
    one_hot = np.eye(len(names), dtype=np.float32)[index]
    second = np.array([side.astype(np.float32) @ one_hot for side in sides], float)  # (R, C)
    counts = np.stack([total - second, second])  # (2, R, C)
    with np.errstate(invalid='ignore', divide='ignore'):
        expected = counts.sum(-1, keepdims=True) * total / len(categories)
        return ((counts - expected) ** 2 / expected).sum((0, 2))


def permutation_p(observed: float, shuffled: np.ndarray) -> float:
    """Share of the shuffles with a statistic at least as great; the least is 1 / (R + 1).

    Args:
        observed: the statistic of the sets as they are.
        shuffled: (R,) those of the shuffles; NaN is left out.
    """
    shuffled = shuffled[~np.isnan(shuffled)]
    return float((1 + (shuffled >= observed - EQUAL).sum()) / (1 + len(shuffled)))
