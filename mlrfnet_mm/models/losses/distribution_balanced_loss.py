r"""Distribution-balanced loss: rare findings count more, and easy negatives press less.

Wu et al., ECCV 2020, https://arxiv.org/abs/2007.09654, with the constants of its public
configuration for COCO-MLT.

Class-aware sampling draws an image once for each of its findings. Re-balanced weighting takes that
back, for finding k of an image with labels y, by the ratio of the wanted and the real rate:

.. math::
    r_k = \frac{1 / n_k}{\sum_j y_j / n_j}, \quad
    \hat r_k = \alpha + \sigma(\beta\, (r_k - \mu))

Negative-tolerant regularization moves logits by :math:`\nu_k` and makes the negative term flat:

.. math::
    L = \hat r_k \Big( y \log(1 + e^{-(z - \nu_k)})
        + \tfrac{1}{\lambda} (1 - y) \log(1 + e^{\lambda (z - \nu_k)}) \Big), \quad
    \nu_k = \kappa \log(N / n_k - 1)

Each term has the focal factor :math:`(1 - p_t)^\gamma`, where :math:`p_t` is
:math:`\sigma(z - \nu_k)` or :math:`\sigma(-\lambda (z - \nu_k))`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mlrfnet_mm.models.losses.class_counts import read_counts
from mlrfnet_mm.models.losses.reduction import EntryLoss, comparable
from mlrfnet_mm.registry import MODELS


def rebalanced_weights(
    target: Tensor, positives: Tensor, alpha: float = 0.1, beta: float = 10.0, mu: float = 0.2
) -> Tensor:
    """The smoothed ratios of the module's formula, (N, K).

    An image without a finding has no rate; it gets the limit alpha + 1. A "no finding" of its own
    among the classes would hardly change that: its ratio, of the images without a finding to those
    with finding k, is far above mu on chest X-rays.

    Args:
        target: (N, K), 0 to 1; NaN is unknown and not counted as a finding.
        positives: images with each finding, (K,).
        alpha: added to all weights.
        beta: steepness.
        mu: ratio at which the sigmoid is one half.
    """
    inverse = 1 / positives.to(target)
    rate = target.nan_to_num(nan=0.0) @ inverse  # (N,)
    ratio = inverse / rate.clamp(min=1e-12)[:, None]
    return alpha + torch.sigmoid(beta * (ratio - mu))


def negative_tolerant_loss(
    logits: Tensor, target: Tensor, nu: Tensor, lam: float = 2.0, gamma: float = 2.0
) -> Tensor:
    """The module's formula without its weights for every entry, not reduced.

    Finite, with finite gradients, for any finite logit; half precision is computed in single.

    Args:
        logits: before the sigmoid, (N, K).
        target: (N, K), 0 to 1; NaN marks an unknown entry, whose loss and gradient are 0.
        nu: shift of the classes, (K,).
        lam: scale of negative logits.
        gamma: focusing exponent; 0 is the formula without the focal factor.

    Returns:
        The loss of each entry, (N, K), single precision or better.

    Raises:
        ValueError: shapes that differ.
    """
    logits, target = comparable(logits, target)
    known = ~target.isnan()
    y = torch.where(known, target, 0.0)
    z = logits - nu.to(logits)
    positive = -F.logsigmoid(z) * torch.exp(gamma * F.logsigmoid(-z))
    negative = -F.logsigmoid(-lam * z) * torch.exp(gamma * F.logsigmoid(lam * z)) / lam
    return torch.where(known, y * positive + (1 - y) * negative, 0.0)


@MODELS.register_module()
class DistributionBalancedLoss(EntryLoss):
    """:func:`negative_tolerant_loss` times :func:`rebalanced_weights`, with a reduction.

    Made for :class:`mlrfnet_mm.ClassAwareSampler`, whose repetitions the weights take back; it can
    be used without. ``'mean'`` is this project's, torch's: see :class:`BiasedFocalLoss`. The public
    code divides nu by lam, where the equation does not, and multiplies the loss by 2:
    ``loss_weight=2`` does so here.

    Args:
        class_counts: images with each finding; see :func:`read_counts`.
        images: number of training images, for counts given as numbers; a file knows it.
        alpha: see :func:`rebalanced_weights`.
        beta: see :func:`rebalanced_weights`.
        mu: see :func:`rebalanced_weights`.
        kappa: of the shift nu; 0 shifts nothing.
        lam: see :func:`negative_tolerant_loss`.
        gamma: see :func:`negative_tolerant_loss`.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        loss_weight: factor on the result.

    Raises:
        FileNotFoundError: no such file of counts.
        ValueError: a parameter out of its range, a finding on every image; at run time, another
            number of classes.
    """

    def __init__(
        self,
        class_counts: str | Mapping[str, Any] | Sequence[float],
        images: int | None = None,
        alpha: float = 0.1,
        beta: float = 10.0,
        mu: float = 0.2,
        kappa: float = 0.05,
        lam: float = 2.0,
        gamma: float = 2.0,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        for name, value, ok in (
            ('alpha', alpha, alpha >= 0),
            ('beta', beta, beta >= 0),
            ('mu', mu, mu >= 0),
            ('kappa', kappa, kappa >= 0),
            ('lam', lam, lam > 0),
            ('gamma', gamma, gamma >= 0),
        ):
            if not ok:
                raise ValueError(
                    f'DistributionBalancedLoss: {name}={value!r} is out of range; alpha, beta, mu, '
                    f'kappa and gamma >= 0, lam > 0'
                )
        self.counts = read_counts(class_counts, images)
        self.label_classes = self.counts.classes  # a training compares them with its data's
        self.alpha, self.beta, self.mu = alpha, beta, mu
        self.lam, self.gamma = lam, gamma
        self.register_buffer('positives', self.counts.positives, persistent=False)
        self.register_buffer('nu', self._shift(kappa), persistent=False)

    def _shift(self, kappa: float) -> Tensor:
        n, images = self.counts.positives, self.counts.images
        if images is None:
            raise ValueError(
                'DistributionBalancedLoss needs the number of training images next to counts given '
                'as numbers: images=…'
            )
        if (n == images).any():
            raise ValueError(
                f'a finding is on all {images} images, and its shift would be infinite: leave it '
                f'out, or correct class_counts {n.tolist()}'
            )
        return kappa * torch.log(images / n - 1)

    def entries(self, logits: Tensor, target: Tensor) -> Tensor:
        """:func:`negative_tolerant_loss` times :func:`rebalanced_weights`, (N, K)."""
        self.counts.check(logits)
        nu, positives = self.get_buffer('nu'), self.get_buffer('positives')
        loss = negative_tolerant_loss(logits, target, nu, self.lam, self.gamma)
        return loss * rebalanced_weights(target.to(loss), positives, self.alpha, self.beta, self.mu)
