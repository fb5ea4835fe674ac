"""Multi-label logit distillation: the student's probability of each label follows the teacher's.

L2D, Yang et al., "Multi-Label Knowledge Distillation", ICCV 2023, https://arxiv.org/abs/2308.06453
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrfnet_mm.models.losses.reduction import REDUCTIONS, weigh_and_reduce
from mlrfnet_mm.registry import MODELS


def multi_label_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    r"""Divergence of each label's two Bernoulli distributions, not reduced.

    .. math:: p \log \frac{p}{q} + (1 - p) \log \frac{1 - p}{1 - q}, \quad
        p = \sigma(z_t), q = \sigma(z_s)

    It is binary cross-entropy with the soft target p less the entropy of p. Finite, with finite
    gradients, for any finite logits; half precision is computed in single.

    Args:
        student: logits, any shape.
        teacher: logits, same shape; no gradient goes there.

    Raises:
        ValueError: shapes that differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            'logits of student and teacher differ in shape: '
            f'{tuple(student.shape)} and {tuple(teacher.shape)}'
        )
    if student.dtype in (torch.half, torch.bfloat16):
        student = student.float()
    teacher = teacher.detach().to(student.dtype)
    present = F.logsigmoid(teacher) - F.logsigmoid(student)
    absent = F.logsigmoid(-teacher) - F.logsigmoid(-student)
    return torch.sigmoid(teacher) * present + torch.sigmoid(-teacher) * absent


@MODELS.register_module()
class MultiLabelDistillationLoss(nn.Module):
    """:func:`multi_label_distillation` of logits divided by a temperature τ, times τ².

    Every label counts, also where the image's own is unknown: the teacher has an opinion.

    Args:
        temperature: τ; L2D has 1.
        reduction: ``'mean'`` over images and labels (L2D: sum over labels, mean over images),
            ``'sum'`` or ``'none'``.
        loss_weight: factor on the result; L2D has 10 next to a sum over labels of cross-entropy.

    Raises:
        ValueError: a parameter out of its range.
    """

    def __init__(
        self, temperature: float = 1.0, reduction: str = 'mean', loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise ValueError(f'temperature must be positive, got {temperature}')
        if reduction not in REDUCTIONS:
            raise ValueError(f'reduction must be one of {REDUCTIONS}, got {reduction!r}')
        self.temperature = temperature
        self.reduction = reduction
        self.loss_weight = loss_weight

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        """Compute the loss of logits (N, K) both."""
        loss = multi_label_distillation(student / self.temperature, teacher / self.temperature)
        return (
            self.loss_weight
            * self.temperature**2
            * weigh_and_reduce(loss, reduction=self.reduction)
        )
