"""Several models' predictions of the same images averaged into one.

Irvin et al., AAAI 2019, https://arxiv.org/abs/1901.07031, average the probabilities of 30
checkpoints; some reimplementations average logits.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mlrfnet_mm.evaluation.files.pairing import aligned
from mlrfnet_mm.evaluation.files.predictions import Predictions

MEANS = ('probability', 'logit')
# A score of 0 or 1 has lost its logit to float32: the nearest number that has one stands for it.
LOWEST, HIGHEST = float(np.finfo(np.float32).tiny), 1 - 2.0**-24


def as_logits(scores: np.ndarray) -> np.ndarray:
    """Logits, float64 and finite, of probabilities."""
    p = np.asarray(scores, np.float64).clip(LOWEST, HIGHEST)
    return np.log(p) - np.log1p(-p)


def mean_scores(
    scores: Sequence[np.ndarray], of: str = 'probability', weights: np.ndarray | None = None
) -> np.ndarray:
    """Average the members' scores.

    >>> mean_scores([np.float32([[0.25]]), np.float32([[0.75]])]).tolist()
    [[0.5]]

    Args:
        scores: of each member, (N, K), probabilities.
        of: what is averaged: ``'probability'`` or ``'logit'``.
        weights: (M,) of the members, with sum 1; None: all alike.

    Returns:
        (N, K) float32. A single member comes back as it is.

    Raises:
        ValueError: another ``of``; no member; weights that are negative or whose sum is not 1.
    """
    if of not in MEANS:
        raise ValueError(f'the mean must be of one of {", ".join(MEANS)}, got {of!r}')
    if not len(scores):
        raise ValueError('an ensemble needs at least one member, got none')
    if weights is not None:
        weights = np.asarray(weights, float)
        good = weights.shape == (len(scores),) and (weights >= 0).all()
        if not good or abs(weights.sum() - 1) > 1e-6:
            raise ValueError(
                f'weights must be {len(scores)} numbers, at least 0 and with sum 1, got '
                f'{weights.tolist()}'
            )
    if len(scores) == 1:
        return scores[0]
    members = np.stack(scores).astype(np.float64)  # (M, N, K)
    if of == 'probability':
        return np.average(members, 0, weights).astype(np.float32)
    z = np.average(as_logits(members), 0, weights)
    return (1 / (1 + np.exp(-z))).astype(np.float32)


def average(
    members: Sequence[Predictions], of: str = 'probability', weights: np.ndarray | None = None
) -> Predictions:
    """Average predictions of the same images; studies are pooled afterwards, by whoever reads them.

    Args:
        members: of one data set, protocol and split; the images may be in any order.
        of: what is averaged: ``'probability'`` or ``'logit'``.
        weights: (M,) of the members, with sum 1; None: all alike.

    Returns:
        Predictions in the first member's order; ``members``, ``weights`` and ``mean`` say what they
        are made of.
        ``checkpoint`` is a digest of the members' checkpoints, of ``of`` and of the weights, so
        that validation and test of one ensemble fit together; it is empty where a member's is not
        recorded.

    Raises:
        ValueError: members of different stamps, units, classes, images, patients or labels; one
            that is there twice; see also :func:`mean_scores`.
    """
    if not members:
        raise ValueError('an ensemble needs at least one member, got none')
    first = members[0]
    scores = [first.scores]
    for i, member in enumerate(members[1:], 2):
        try:
            if member.unit != first.unit:
                raise ValueError(f'units differ: {first.unit} and {member.unit}')
            if not np.array_equal(first.in_mean, member.in_mean):
                raise ValueError('the classes that means are taken over differ')
            own = aligned(first, member).scores
        except ValueError as error:
            raise ValueError(f'member {i} cannot be averaged with the first: {error}') from error
        for j, other in enumerate(scores, 1):
            if np.array_equal(own, other):
                raise ValueError(
                    f'members {j} and {i} have the same scores: a model would count twice; give '
                    'each prediction file once'
                )
        scores.append(own)
    together = mean_scores(scores, of, weights)
    if len(members) == 1:
        return replace(first, scores=together)
    digests = [member.checkpoint for member in members]
    equal = np.full(len(members), 1 / len(members))
    shares = [''] * len(members) if weights is None else [f' {float(w)!r}' for w in weights]
    parts = sorted(digest + share for digest, share in zip(digests, shares, strict=True))
    text = ' '.join([of, *parts])
    return replace(
        first,
        scores=together,
        checkpoint=hashlib.sha256(text.encode()).hexdigest()[:12] if all(digests) else '',
        members=np.array(digests),
        weights=equal if weights is None else np.asarray(weights, float),
        mean=of,
    )
