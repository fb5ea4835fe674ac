"""Biased focal loss: a focal loss whose easy negatives are cut off by a probability shift.

MLRFNet, section III-D, eqs. 3 and 4; the shift is that of asymmetric loss, Ridnik et al., ICCV
2021, https://arxiv.org/abs/2009.14119
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mlrfnet_mm.models.losses.reduction import EntryLoss, comparable
from mlrfnet_mm.registry import MODELS


def biased_focal_loss(
    logits: Tensor,
    target: Tensor,
    alpha: float = 0.4,
    gamma: float = 2.0,
    shift: float = 0.2,
    shift_log: bool = False,
) -> Tensor:
    r"""Eqs. 3 and 4 for every entry, not reduced.

    .. math::
        L = -\alpha (1 - p)^\gamma\, y \log p
            - (1 - \alpha)\, p_s^\gamma\, (1 - y) \log(1 - p), \quad p_s = \max(p - s, 0)

    Finite, with finite gradients, for any finite logit; half precision is computed in single.

    Args:
        logits: before the sigmoid, any shape.
        target: same shape, 0 to 1 (soft labels are allowed); NaN marks an unknown entry, whose
            loss and gradient are 0.
        alpha: weight of the positive term; 1 - alpha is that of the negative one.
        gamma: focusing exponent, the paper's beta.
        shift: s of eq. 4. A negative with p < s gets no gradient, so the scores of absent findings
            crowd near s and are not probabilities: calibrate before reading them as such.
        shift_log: take log(1 - p_s) in the negative term, as asymmetric loss does; eq. 3 has the
            unshifted log(1 - p).

    Returns:
        The loss of each entry, in the shape of ``logits``, single precision or better.

    Raises:
        ValueError: shapes that differ.
    """
    logits, target = comparable(logits, target)
    known = ~target.isnan()
    y = torch.where(known, target, 0.0)

    p = torch.sigmoid(logits)
    positive = torch.exp(gamma * F.logsigmoid(-logits)) * F.logsigmoid(logits)

    hard = p > shift
    # The inner `where` and the clamp keep the power's infinite slope at 0 (gamma < 1) out.
    base = torch.where(hard, (p - shift).clamp(min=1e-30), 1.0)
    focus = torch.where(hard, base**gamma, 0.0**gamma)
    if shift_log and shift > 0:
        log_absent = torch.log(torch.sigmoid(-logits) + shift).clamp(max=0)  # 1 - p_s = 1 - p + s
    else:
        log_absent = F.logsigmoid(-logits)

    loss = -alpha * y * positive - (1 - alpha) * (1 - y) * focus * log_absent
    return loss * known


@MODELS.register_module()
class BiasedFocalLoss(EntryLoss):
    """:func:`biased_focal_loss` with a reduction.

    ``'mean'`` has one meaning, torch's: the sum over all N x K entries divided by N x K. Unknown
    (NaN) entries add 0 to the sum and stay in the divisor, so that the mean over the images of a
    batch, over batches and over processes is the same number however they are cut. mmpretrain's
    multi-label heads pass ``avg_factor=N``, the number of images; with mmpretrain's own losses that
    makes the "mean" K times torch's, here it does not.

    Args:
        alpha: weight of the positive term.
        gamma: focusing exponent (the paper's beta; it gives no value, 2 is focal loss's).
        shift: probability shift s of eq. 4.
        shift_log: see :func:`biased_focal_loss`.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        loss_weight: factor on the result.

    Raises:
        ValueError: a parameter out of its range.
    """

    def __init__(
        self,
        alpha: float = 0.4,
        gamma: float = 2.0,
        shift: float = 0.2,
        shift_log: bool = False,
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        for name, value, ok in (
            ('alpha', alpha, 0 <= alpha <= 1),
            ('gamma', gamma, gamma >= 0),
            ('shift', shift, 0 <= shift < 1),
        ):
            if not ok:
                raise ValueError(
                    f'BiasedFocalLoss: {name}={value!r} is out of range; alpha in [0, 1], '
                    f'gamma >= 0, shift in [0, 1)'
                )
        self.alpha = alpha
        self.gamma = gamma
        self.shift = shift
        self.shift_log = shift_log

    def entries(self, logits: Tensor, target: Tensor) -> Tensor:
        """:func:`biased_focal_loss`, (N, K)."""
        return biased_focal_loss(logits, target, self.alpha, self.gamma, self.shift, self.shift_log)
