"""Binary cross-entropy with the weights of the batch's own positives and negatives.

W-CEL, Wang et al., CVPR 2017, https://arxiv.org/abs/1705.02315; the positive weight by class
is that of the code of Ye et al., 2020, https://arxiv.org/abs/2005.14480.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from mlrfnet_mm.models.losses.reduction import EntryLoss, comparable
from mlrfnet_mm.registry import MODELS

SCOPES = ('batch', 'class')
BALANCES = ('both', 'positive')


def balance_weights(target: Tensor, scope: str, balance: str) -> tuple[Tensor, Tensor]:
    r"""Weights of positives and negatives, (1, 1) or (1, K).

    ``'both'``: :math:`\beta_P = (|P| + |N|) / |P|`, :math:`\beta_N = (|P| + |N|) / |N|`;
    ``'positive'``: :math:`\beta_P = |N| / |P|`, :math:`\beta_N = 1`. The weight of what is not
    there is 0.

    Args:
        target: (N, K), 0 to 1; NaN is not counted.
        scope: count over the whole ``'batch'`` or by ``'class'``.
        balance: which of the two.
    """
    over = (0, 1) if scope == 'batch' else (0,)
    positives = target.nansum(over, keepdim=True)
    negatives = (1 - target).nansum(over, keepdim=True)
    both = positives + negatives if balance == 'both' else negatives
    beta_p = torch.where(positives > 0, both / positives.clamp(min=1e-12), 0.0)
    if balance == 'positive':
        return beta_p, torch.ones_like(beta_p)
    return beta_p, torch.where(negatives > 0, both / negatives.clamp(min=1e-12), 0.0)


def balanced_bce_loss(
    logits: Tensor, target: Tensor, scope: str = 'batch', balance: str = 'both'
) -> Tensor:
    r"""W-CEL for every entry, not reduced.

    .. math:: L = -\beta_P\, y \log \sigma(z) - \beta_N\, (1 - y) \log \sigma(-z)

    Finite, with finite gradients, for any finite logit; half precision is computed in single.

    Args:
        logits: before the sigmoid, (N, K).
        target: (N, K), 0 to 1; NaN marks an unknown entry, whose loss and gradient are 0.
        scope: see :func:`balance_weights`.
        balance: see :func:`balance_weights`.

    Returns:
        The loss of each entry, (N, K), single precision or better.

    Raises:
        ValueError: shapes that differ.
    """
    logits, target = comparable(logits, target)
    beta_p, beta_n = balance_weights(target, scope, balance)
    known = ~target.isnan()
    y = torch.where(known, target, 0.0)
    loss = -beta_p * y * F.logsigmoid(logits) - beta_n * (1 - y) * F.logsigmoid(-logits)
    return torch.where(known, loss, 0.0)


@MODELS.register_module()
class BalancedBCELoss(EntryLoss):
    """:func:`balanced_bce_loss` with a reduction.

    ``'mean'`` is this project's, torch's: see :class:`BiasedFocalLoss`. The weights are those of
    the batch that is seen: one process's, with several GPUs; single images' in ``LossValLoop``, so
    validate by another metric than this loss. For weights of the whole data set take
    ``mmpretrain.CrossEntropyLoss`` with ``pos_weight`` in :class:`MaskedLoss`.

    Args:
        scope: count positives and negatives over the whole ``'batch'`` (W-CEL) or by ``'class'``.
        balance: weigh ``'both'`` (W-CEL) or the ``'positive'`` ones, by |N| / |P|.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.
        loss_weight: factor on the result.

    Raises:
        ValueError: a parameter out of its range.
    """

    def __init__(
        self,
        scope: str = 'batch',
        balance: str = 'both',
        reduction: str = 'mean',
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(reduction, loss_weight)
        for name, value, allowed in (
            ('scope', scope, SCOPES),
            ('balance', balance, BALANCES),
        ):
            if value not in allowed:
                raise ValueError(f'BalancedBCELoss: {name} must be one of {allowed}, got {value!r}')
        self.scope = scope
        self.balance = balance

    def entries(self, logits: Tensor, target: Tensor) -> Tensor:
        """:func:`balanced_bce_loss` (N, K); a weight of the loss changes no count."""
        return balanced_bce_loss(logits, target, self.scope, self.balance)
