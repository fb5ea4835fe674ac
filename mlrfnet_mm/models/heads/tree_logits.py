"""Logits of labels that stand in a tree: a label's probability is the product along its path.

Pham et al., "Interpreting chest X-rays via CNNs that exploit hierarchical disease dependencies and
uncertainty labels", 2021, https://arxiv.org/abs/1911.06475
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModule
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mlrfnet_mm.datasets.published.chexpert.tables import FINDINGS
from mlrfnet_mm.datasets.published.chexpert.tree import PARENTS, ancestors
from mlrfnet_mm.registry import MODELS

LOSSES = ('factors', 'products')


def tree_logits(logits: Tensor, parents: Sequence[int | None]) -> Tensor:
    r"""Logit of the product of the probabilities from the root down to each label.

    .. math::
        \sigma(z'_k) = \sigma(z'_{parent}) \sigma(z_k), \quad
        z'_k = -\log(e^{-z'_{parent}} + e^{-z_k} + e^{-z'_{parent} - z_k})

    Finite, with finite gradients, for any finite logit: the logarithm of 1 minus the product would
    not be.

    Args:
        logits: (N, K), of each label given its parent.
        parents: place of each label's parent; ``None`` for a root, whose logit stays as it is.

    Returns:
        (N, K); half precision is computed in single.
    """
    if logits.dtype in (torch.half, torch.bfloat16):
        logits = logits.float()
    found: dict[int, Tensor] = {}

    def product(k: int) -> Tensor:
        if k not in found:
            z, parent = logits[:, k], parents[k]
            if parent is not None:
                above = product(parent)
                z = -torch.stack([-above, -z, -above - z]).logsumexp(0)
            found[k] = z
        return found[k]

    return torch.stack([product(k) for k in range(len(parents))], 1)


@MODELS.register_module()
class TreeLogits(BaseModule):
    """Another head, whose logits are of labels given their parents; gives :func:`tree_logits`.

    What comes out are logits again, so that scores, heat maps and thresholds stay what they are.

    Args:
        head: the head's config, or the head.
        classes: names of its K labels, in their order.
        parents: child → parent.
        loss_on: in training, ``'factors'``: the head's own logits, for labels of which those
            without positive ancestors are unknown (``CheXpert(tree='conditional')``), or
            ``'products'``: the logits that come out, for all labels (``tree='up'``). The
            validation loss is of the products, as predictions are.

    Raises:
        ValueError: parents that are not among the classes, or a circle; another ``loss_on``; at run
            time, another number of logits than classes.
    """

    def __init__(
        self,
        head: dict | nn.Module,
        classes: Sequence[str] = FINDINGS,
        parents: Mapping[str, str] = PARENTS,
        loss_on: str = 'products',
    ) -> None:
        super().__init__()
        unknown = sorted({*parents, *parents.values()} - set(classes))
        if unknown:
            raise ValueError(
                f'the label tree has {unknown[0]!r}, which is not among the classes: '
                f'{", ".join(classes)}'
            )
        for name in classes:
            ancestors(name, parents)  # refuses a circle
        if loss_on not in LOSSES:
            raise ValueError(f'loss_on must be one of {", ".join(LOSSES)}, got {loss_on!r}')
        self.head: Any = head if isinstance(head, nn.Module) else MODELS.build(head)
        self.classes = tuple(classes)
        self.num_classes = len(self.classes)
        self.parents = tuple(
            self.classes.index(parents[name]) if name in parents else None for name in self.classes
        )
        self.loss_on = loss_on

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor | tuple[Tensor, ...]:
        """What the head makes of the features before it classifies."""
        kept: Tensor | tuple[Tensor, ...] = self.head.pre_logits(feats)
        return kept

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Logits (N, K) of the products."""
        return self._products(self.head(feats))

    def loss(self, feats: tuple[Tensor, ...], data_samples: list[DataSample]) -> dict[str, Tensor]:
        """The head's loss, on the factors or the products."""
        logits = self.head(feats)
        if self.loss_on == 'products':
            logits = self._products(logits)
        losses: dict[str, Tensor] = self._get_loss(logits, data_samples)
        return losses

    def predict(
        self, feats: tuple[Tensor, ...], data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Set ``pred_score`` and ``pred_label`` of the products."""
        predictions: list[DataSample] = self._get_predictions(self(feats), data_samples)
        return predictions

    def _get_loss(self, logits: Tensor, data_samples: list[DataSample]) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = self.head._get_loss(logits, data_samples)
        return losses

    def _get_predictions(
        self, logits: Tensor, data_samples: list[DataSample] | None
    ) -> list[DataSample]:
        predictions: list[DataSample] = self.head._get_predictions(logits, data_samples)
        return predictions

    def _products(self, logits: Tensor) -> Tensor:
        if logits.shape[1] != self.num_classes:
            raise ValueError(
                f'the head gives {logits.shape[1]} logits, the label tree has {self.num_classes} '
                'classes: set model.head.head.num_classes'
            )
        return tree_logits(logits, self.parents)
