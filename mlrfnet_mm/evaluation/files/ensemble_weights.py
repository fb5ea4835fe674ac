r"""How much each member of an ensemble counts, fitted on validation predictions.

One weight :math:`w_m \ge 0` per member for all findings, with sum 1, by one of two objectives:

- ``'likelihood'``: the greatest mean log likelihood of the known labels,
  :math:`\frac1N \sum \log(y p + (1 - y)(1 - p))`. With p the mean of probabilities
  :math:`\sum_m w_m p_m` or of logits :math:`\sigma(\sum_m w_m z_m)` it is concave in w, so there is
  one greatest value; SLSQP of scipy finds it.
- ``'auc'``: the greatest mean AUC over the findings, which has steps and no gradient: from equal
  weights, weight is moved between two members while that helps, in ever smaller steps. So on
  validation it is never below equal weights.

Scores that are not calibrated (those of the biased focal loss crowd near 0.2) have a likelihood
that says more of their scale than of their order: there take ``'auc'``.
"""

from collections.abc import Sequence
from itertools import permutations

import numpy as np
from scipy.optimize import minimize

from mlrfnet_mm.evaluation.areas.auc import mean_defined, roc_auc
from mlrfnet_mm.evaluation.files.ensemble import MEANS, as_logits, mean_scores
from mlrfnet_mm.evaluation.files.pairing import TESTS, aligned, check_validation
from mlrfnet_mm.evaluation.files.predictions import Predictions

OBJECTIVES = ('auc', 'likelihood')
STEPS = (0.32, 0.16, 0.08, 0.04, 0.02, 0.01)  # of weight that is moved
LEAST = 1e-6  # a smaller weight is none


def fit_weights(
    scores: Sequence[np.ndarray],
    labels: np.ndarray,
    of: str = 'probability',
    objective: str = 'auc',
) -> np.ndarray:
    """Weights of the members, (M,), at least 0 and with sum 1.

    Args:
        scores: of each member, (N, K), probabilities of the same images.
        labels: (N, K) of 0, 1 and NaN (unknown, counts nowhere).
        of: what is averaged: ``'probability'`` or ``'logit'``.
        objective: ``'auc'`` or ``'likelihood'``.

    Raises:
        ValueError: another objective or mean; no member; no class with both label values.
    """
    if objective not in OBJECTIVES:
        raise ValueError(f'objective must be one of {", ".join(OBJECTIVES)}, got {objective!r}')
    if of not in MEANS:
        raise ValueError(f'the mean must be of one of {", ".join(MEANS)}, got {of!r}')
    if not len(scores):
        raise ValueError('an ensemble needs at least one member, got none')
    if np.isnan(roc_auc(scores[0], labels)).all():
        raise ValueError('no finding has both positive and negative labels to fit weights on')
    if len(scores) == 1:
        return np.ones(1)
    if objective == 'auc':
        return _greatest_auc(scores, labels, of)
    return _greatest_likelihood(scores, labels, of)


def _greatest_auc(scores: Sequence[np.ndarray], labels: np.ndarray, of: str) -> np.ndarray:
    def value(weights: np.ndarray) -> float:
        return mean_defined(roc_auc(mean_scores(scores, of, weights), labels))

    best = np.full(len(scores), 1 / len(scores))
    greatest = value(best)
    for step in STEPS:
        while True:
            moves = [_moved(best, i, j, step) for i, j in permutations(range(len(scores)), 2)]
            values = [value(weights) for weights in moves]
            if max(values) <= greatest:
                break
            greatest, best = max(values), moves[int(np.argmax(values))]
    return best


def _moved(weights: np.ndarray, giver: int, taker: int, step: float) -> np.ndarray:
    moved = weights.copy()
    part = min(step, weights[giver])
    moved[giver] -= part
    moved[taker] += part
    return moved


def _greatest_likelihood(scores: Sequence[np.ndarray], labels: np.ndarray, of: str) -> np.ndarray:
    known = ~np.isnan(labels)
    y = labels[known] == 1
    members = np.stack([member[known] for member in scores]).astype(float)  # (M, n)
    if of == 'probability':
        # of what is there: a member that is sure of the wrong must not have likelihood 0
        right = np.where(y, members, 1 - members).clip(np.finfo(np.float32).tiny)
    else:
        right = np.where(y, 1, -1) * as_logits(members)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        mixed = w @ right  # (n,)
        if of == 'probability':
            return -np.log(mixed).mean(), -(right / mixed).mean(1)
        # -log sigmoid(x), whose slope is -sigmoid(-x)
        return np.logaddexp(0, -mixed).mean(), -(right * np.exp(-np.logaddexp(0, mixed))).mean(1)

    found = minimize(
        loss,
        np.full(len(scores), 1 / len(scores)),
        jac=True,
        method='SLSQP',
        bounds=[(0, 1)] * len(scores),
        constraints=dict(type='eq', fun=lambda w: w.sum() - 1, jac=np.ones_like),
        options=dict(ftol=1e-12, maxiter=1000),
    )
    if not found.success:
        raise RuntimeError(f'the weights of the ensemble were not found: {found.message}')
    weights = np.where(found.x < LEAST, 0, found.x)
    return weights / weights.sum()


def weights_from_validation(
    members: Sequence[Predictions],
    validation: Sequence[Predictions],
    of: str = 'probability',
    objective: str = 'auc',
) -> np.ndarray:
    """Fit the weights of members on validation predictions of their checkpoints.

    Args:
        members: predictions of the test images.
        validation: of each member, in the same order.
        of: see :func:`fit_weights`.
        objective: see there.

    Raises:
        ValueError: another number of files, predictions of a test set, a validation file that is
            not of its member's checkpoint or does not fit its test predictions, members whose
            validation images differ.
    """
    if len(members) != len(validation):
        raise ValueError(
            f'{len(members)} members need as many validation files in the same order, got '
            f'{len(validation)}'
        )
    for number, (member, val) in enumerate(zip(members, validation, strict=True), 1):
        if val.stamp.endswith(TESTS):
            raise ValueError(
                f'validation file {number}: {val.stamp} is for the test alone; fit weights on '
                'predictions of validation, mlrfnet test … --split val'
            )
        try:
            check_validation(member, val)
        except ValueError as error:
            raise ValueError(f'validation file {number} is not for member {number}: {error}') from (
                error
            )
    first = validation[0]
    scores = [first.scores, *(aligned(first, val).scores for val in validation[1:])]
    counted = first.in_mean
    return fit_weights(
        [part[:, counted] for part in scores], first.labels[:, counted], of, objective
    )
