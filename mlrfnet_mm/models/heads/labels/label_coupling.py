r"""A coupling of the logits: the cheap control next to label graphs and label queries.

.. math:: z' = z + L \, \sigma(z)

with one K x K matrix L, 196 parameters for 14 findings, that begins at 0, where it changes nothing.
What label dependencies can give beyond it, they owe to more than pairs of scores. The idea is that
of arXiv 2511.07801, of which the abstract was available; the formula is our choice.
"""

from typing import Any

import torch
from mmengine.model import BaseModule
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mlrfnet_mm.registry import MODELS


def couple(logits: Tensor, coupling: Tensor) -> Tensor:
    """Add what the scores of all findings say about each, (N, K).

    Args:
        logits: (N, K); half precision is computed in single.
        coupling: L, (K, K): row k is what the findings add to k.
    """
    if logits.dtype in (torch.half, torch.bfloat16):
        logits = logits.float()
    scores = logits.sigmoid()  # (N, K)
    return logits + (scores[:, None] * coupling.to(logits.dtype)).sum(-1)  # L σ(z)


@MODELS.register_module()
class LabelCoupling(BaseModule):
    """Another head, whose logits are coupled by :func:`couple`.

    Args:
        head: the head's config, or the head; it has ``num_classes``, as mmpretrain's and ours do.
    """

    def __init__(self, head: dict | nn.Module) -> None:
        super().__init__()
        built: Any = head if isinstance(head, nn.Module) else MODELS.build(head)
        self.head = built
        self.num_classes = int(built.num_classes)
        self.coupling = nn.Parameter(torch.zeros(self.num_classes, self.num_classes))

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        """What the head makes of the features before it classifies."""
        kept: Tensor | tuple[Tensor, ...] = self.head.pre_logits(feats)
        return kept

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Logits (N, K)."""
        return couple(self.head(feats), self.coupling)

    def loss(self, feats: tuple[Tensor, ...], data_samples: list[DataSample]) -> dict[str, Tensor]:
        """The head's loss of the coupled logits."""
        return self._get_loss(self(feats), data_samples)

    def predict(
        self, feats: tuple[Tensor, ...], data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Set ``pred_score`` and ``pred_label``."""
        return self._get_predictions(self(feats), data_samples)

    def _get_loss(self, logits: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.head._get_loss(logits, data_samples)
        return losses

    def _get_predictions(
        self, logits: Tensor, data_samples: list[DataSample] | None
    ) -> list[DataSample]:
        predictions: list[DataSample] = self.head._get_predictions(logits, data_samples)
        return predictions
