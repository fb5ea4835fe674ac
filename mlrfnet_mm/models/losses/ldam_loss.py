r"""Label-distribution-aware margins: the rarer a finding, the farther its positives must get.

LDAM-DRW, Cao et al., NeurIPS 2019, https://arxiv.org/abs/1906.07413: margins :math:`m_k \propto
n_k^{-1/4}` (section 3.2), and deferred re-weighting (section 3.3) by the effective number of
samples, Cui et al., CVPR 2019, https://arxiv.org/abs/1901.05555.

The paper has one label per image, a softmax, and logits that are cosines times 30. Here every
finding is a binary problem of its own, as in multi-label uses of it on chest X-rays: the margin is
taken off the positive logit, then comes the sigmoid.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from mlrfnet_mm.models.losses.class_counts import read_counts
from mlrfnet_mm.models.losses.reduction import EntryLoss, comparable
from mlrfnet_mm.registry import MODELS


def ldam_margins(positives: Tensor, max_margin: float = 0.5) -> Tensor:
    r""":math:`m_k = m\, (n_k / \min_j n_j)^{-1/4}`: the rarest finding has ``max_margin``; (K,)."""
    return max_margin * (positives / positives.min()) ** -0.25


def effective_weights(positives: Tensor, beta: float) -> Tensor:
    r""":math:`w_k \propto (1 - \beta) / (1 - \beta^{n_k})`, with a mean of 1; (K,).

    Args:
        positives: images with each finding, (K,).
        beta: from 0, all weights 1, to below 1, where they become :math:`1 / n_k`.
    """
    if beta == 0:
        return torch.ones_like(positives)
    weights = -1 / torch.expm1(positives * math.log(beta))
    return weights / weights.mean()


def ldam_loss(logits: Tensor, target: Tensor, margins: Tensor, scale: float = 1.0) -> Tensor:
    r"""Binary cross-entropy with margins for every entry, not reduced.

    .. math::
        L = -y \log \sigma(s (z - y\, m_k)) - (1 - y) \log \sigma(-s (z - y\, m_k))

    A soft label has its share of the margin. Finite, with finite gradients, for any finite logit;
    half precision is computed in single.

    Args:
        logits: before the sigmoid, (N, K).
        target: (N, K), 0 to 1; NaN marks an unknown entry, whose loss and gradient are 0.
        margins: of the classes, (K,).
        scale: s.

    Returns:
        The loss of each entry, (N, K), single precision or better.

    Raises:
        ValueError: shapes that differ.
    """
    logits, target = comparable(logits, target)
    known = ~target.isnan()
    y = torch.where(known, target, 0.0)
    z = scale * (logits - y * margins.to(logits))
    loss = -y * F.logsigmoid(z) - (1 - y) * F.logsigmoid(-z)
    return torch.where(known, loss, 0.0)


@MODELS.register_module()
class LDAMLoss(EntryLoss):
    """:func:`ldam_loss` with the margins of the training data and a reduction.

    ``'mean'`` is this project's, torch's: see :class:`BiasedFocalLoss`. Deferred re-weighting is
    the same loss with ``beta``, put in its place late in the training by mmpretrain's hook, also
    after a resume::

        custom_hooks = [dict(type='mmpretrain.SwitchRecipeHook', schedule=[dict(
            action_epoch=17, loss=dict(type='mlrfnet_mm.LDAMLoss', class_counts=…, beta=0.9999))])]

    (The paper defers it to the last fifth.) The validation loss is another one from then on, so
    keep the best checkpoint by ``auc/mean``.

    Args:
        class_counts: images with each finding; see :func:`read_counts`.
        max_margin: of the rarest finding.
        scale: factor on the logits after the margin. The paper's 30 is for cosines.
        beta: of :func:`effective_weights`, which weigh all of a finding's entries, positive and
            negative: our choice, as the paper's images have one label. 0 weighs nothing.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        loss_weight: factor on the result.

    Raises:
        FileNotFoundError: no such file of counts.
        ValueError: a parameter out of its range; at run time, another number of classes.
    """

    def __init__(
        self,
        class_counts: str | Mapping[str, Any] | Sequence[float],
        max_margin: float = 0.5,
        scale: float = 1.0,
        beta: float = 0.0,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        for name, value, ok in (
            ('max_margin', max_margin, max_margin >= 0),
            ('scale', scale, scale > 0),
            ('beta', beta, 0 <= beta < 1),
        ):
            if not ok:
                raise ValueError(
                    f'LDAMLoss: {name}={value!r} is out of range; max_margin >= 0, scale > 0, '
                    f'beta in [0, 1)'
                )
        self.counts = read_counts(class_counts)
        self.label_classes = self.counts.classes  # a training compares them with its data's
        self.scale = scale
        margins = ldam_margins(self.counts.positives, max_margin)
        weights = effective_weights(self.counts.positives, beta)
        self.register_buffer('margins', margins, persistent=False)
        self.register_buffer('weights', weights, persistent=False)

    def entries(self, logits: Tensor, target: Tensor) -> Tensor:
        """:func:`ldam_loss` times the findings' weights, (N, K)."""
        self.counts.check(logits)
        loss = ldam_loss(logits, target, self.get_buffer('margins'), self.scale)
        return loss * self.get_buffer('weights').to(loss)
