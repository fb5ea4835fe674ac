"""Any multi-label loss over targets of which some are unknown (NaN).

CheXpert's policy U-Ignore (Irvin et al., AAAI 2019, https://arxiv.org/abs/1901.07031) leaves
uncertain labels out of the loss; mmpretrain's losses would turn one NaN into a NaN for all.
"""

import torch
from torch import Tensor, nn

from mlrfnet_mm.models.losses.reduction import EntryLoss, comparable
from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class MaskedLoss(EntryLoss):
    """Another loss with loss and gradient 0 where the target is NaN.

    For every loss that takes its entries one by one, as mmpretrain's ``CrossEntropyLoss`` with
    ``use_sigmoid=True``, ``FocalLoss`` and ``AsymmetricLoss`` do.
    :class:`mlrfnet_mm.BiasedFocalLoss` masks by itself and need not be wrapped.

    The reduction is the one that the wrapped loss was given, and ``'mean'`` has the meaning of
    this project's losses: the sum over all N x K entries divided by N x K, unknown ones included
    in the divisor. So a wrapped BCE without unknown targets is torch's, where mmpretrain's, under
    its multi-label heads, is K times that.

    Args:
        loss: the wrapped loss's config, or the loss.

    Raises:
        ValueError: at run time, for targets of another shape than the logits, and for a loss that
            does not give one number for each entry, such as a softmax cross-entropy.
    """

    def __init__(self, loss: dict | nn.Module) -> None:
        wrapped = loss if isinstance(loss, nn.Module) else MODELS.build(loss)
        super().__init__(getattr(wrapped, 'reduction', 'mean'))
        self.loss = wrapped

    def entries(self, logits: Tensor, target: Tensor) -> Tensor:
        """Losses of the wrapped loss, (N, K), 0 where unknown."""
        logits, target = comparable(logits, target)
        known = ~target.isnan()
        # Logits are masked, too: 0 times the infinite slope of some loss would be NaN.
        entries = torch.where(known, logits, 0.0), torch.where(known, target, 0.0)
        if logits.shape[1:] == (1,):  # mmpretrain's take one column for indices of classes
            entries = entries[0].expand(-1, 2), entries[1].expand(-1, 2)
        loss = self.loss(*entries, reduction_override='none')
        if logits.shape[1:] == (1,):
            loss = loss[:, :1]
        if loss.shape != logits.shape:
            raise ValueError(
                f'{type(self.loss).__name__} gives losses of shape {tuple(loss.shape)} for logits '
                f'of {tuple(logits.shape)}; MaskedLoss needs one for each entry, as '
                "dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True) gives"
            )
        return torch.where(known, loss, 0.0)
