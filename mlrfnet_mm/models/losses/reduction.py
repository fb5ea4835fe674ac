"""One meaning of a reduced loss for all losses of this project."""

import torch
from torch import Tensor, nn

REDUCTIONS = ('none', 'mean', 'sum')


def comparable(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Logits and target (N, K) in one type, single precision or better.

    Raises:
        ValueError: shapes that differ.
    """
    if logits.shape != target.shape:
        raise ValueError(
            f'logits and target differ in shape: {tuple(logits.shape)} and {tuple(target.shape)}'
        )
    if logits.dtype in (torch.half, torch.bfloat16):
        logits = logits.float()
    return logits, target.to(logits.dtype)


def weigh_and_reduce(
    loss: Tensor,
    weight: Tensor | None = None,
    avg_factor: float | None = None,
    reduction: str = 'mean',
) -> Tensor:
    """Reduce the entries' losses; ``'mean'`` is torch's, the sum over N x K divided by N x K.

    Args:
        loss: (N, K), 0 where the target is unknown: such an entry stays in the divisor.
        weight: factors of the images (N,) or of the entries (N, K).
        avg_factor: number of images to divide by instead of N.
        reduction: ``'mean'``, ``'sum'`` or ``'none'``.

    Raises:
        ValueError: another reduction; ``avg_factor`` not above 0.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f'reduction must be one of {REDUCTIONS}, got {reduction!r}')
    if avg_factor is not None and not avg_factor > 0:
        raise ValueError(
            f'avg_factor, the number of images to divide by, must be above 0, got {avg_factor}; '
            'None takes the number in the batch'
        )
    if weight is not None:
        loss = loss * (weight if weight.dim() == loss.dim() else weight.unsqueeze(-1))
    if reduction == 'none':
        return loss
    if reduction == 'sum':
        return loss.sum()
    images = loss.shape[0] if avg_factor is None else avg_factor
    return loss.sum() / (images * loss.shape[1:].numel())


class EntryLoss(nn.Module):
    """Base of the losses that are one number for each image and finding, then reduced.

    Args:
        reduction: ``'mean'``, ``'sum'`` or ``'none'``; see :func:`weigh_and_reduce`.
        loss_weight: factor on the result.

    Raises:
        ValueError: another reduction.
    """

    def __init__(self, reduction: str = 'mean', loss_weight: float = 1.0) -> None:
        super().__init__()
        if reduction not in REDUCTIONS:
            raise ValueError(
                f'{type(self).__name__}: reduction={reduction!r} must be one of {REDUCTIONS}'
            )
        self.reduction = reduction
        self.loss_weight = loss_weight

    def entries(self, logits: Tensor, target: Tensor) -> Tensor:
        """Losses of the entries, (N, K); 0 where the target is NaN, unknown."""
        raise NotImplementedError

    def forward(
        self,
        logits: Tensor,
        target: Tensor,
        weight: Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
    ) -> Tensor:
        """Compute the loss; the signature is that of mmpretrain's losses.

        Args:
            logits: (N, K); half precision is computed in single.
            target: (N, K); NaN marks an unknown entry.
            weight: factors of the images (N,) or of the entries (N, K).
            avg_factor: number of images to divide by instead of N.
            reduction_override: takes the place of ``reduction``.
        """
        loss = self.loss_weight * self.entries(logits, target)
        return weigh_and_reduce(loss, weight, avg_factor, reduction_override or self.reduction)
