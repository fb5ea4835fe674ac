"""One linear classifier per branch and one on all of them together.

Our choice after DualCheXNet (Chen et al., Biomed. Signal Process. Control 53:101554, 2019) and
LLAGNet (Chen et al., IEEE JBHI 24(7):2016-2027, 2020), whose texts were not available.
"""

from collections.abc import Sequence

import torch
from mmpretrain.models import MultiLabelClsHead
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mlrfnet_mm.models.classifiers.ten_crop import logit_of_mean
from mlrfnet_mm.models.levels import check_levels, known_channels
from mlrfnet_mm.registry import MODELS

OUTPUTS = ('fused', 'mean')


@MODELS.register_module()
class FusionHead(MultiLabelClsHead):
    r"""Branches fused by their features and by their decisions.

    .. math:: z_b = W_b \bar U_b + c_b, \quad z_f = W_f [\bar U_1; \dots; \bar U_B] + c_f, \quad
        L = \sum_b w_b L(z_b) + w_f L(z_f)

    with the mean over places :math:`\bar U_b`.

    Args:
        num_classes: number K of findings.
        in_channels: channels of the branches' maps; None in a config as in
            :class:`mlrfnet_mm.ECANeck`.
        branch_weight: weight of each branch's loss, as many as branches; a float serves all.
        fused_weight: weight of the fused classifier's loss.
        output: ``'fused'`` classifier alone, or the ``'mean'`` of its probability and of those of
            all branches.
        loss: config of the loss that all classifiers have.
        thr: see :class:`mlrfnet_mm.MRFCHead`.
        topk: see :class:`mlrfnet_mm.MRFCHead`.
        init_cfg: initialisation; the default is normal with std 0.01 on the classifiers.

    Raises:
        ValueError: another output; weights and ``in_channels`` of different lengths; at run time,
            branches that are not those of ``in_channels``.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: Sequence[int] | None,
        branch_weight: Sequence[float] | float = 1.0,
        fused_weight: float = 1.0,
        output: str = 'fused',
        loss: dict | nn.Module | None = None,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            loss=dict(type='mlrfnet_mm.BiasedFocalLoss') if loss is None else loss,
            thr=thr,
            topk=topk,
            init_cfg=init_cfg or dict(type='Normal', layer='Linear', std=0.01),
        )
        if output not in OUTPUTS:
            raise ValueError(f'output must be one of {", ".join(OUTPUTS)}, got {output!r}')
        self.num_classes = num_classes
        self.in_channels = known_channels(in_channels, 'head')
        weights = [branch_weight] * len(self.in_channels)
        self.branch_weight = tuple(
            weights if isinstance(branch_weight, int | float) else branch_weight
        )
        if len(self.branch_weight) != len(self.in_channels):
            raise ValueError(
                'FusionHead needs one branch_weight for each branch, got '
                f'{self.branch_weight} and in_channels={self.in_channels}'
            )
        self.fused_weight = fused_weight
        self.output = output
        self.branches = nn.ModuleList(nn.Linear(c, num_classes) for c in self.in_channels)
        self.fused = nn.Linear(sum(self.in_channels), num_classes)

    def pre_logits(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """The mean over places of each branch, (N, C_b)."""
        check_levels(feats, self.in_channels, 'head')
        return tuple(x.mean((2, 3)) for x in feats)

    def all_logits(self, feats: Sequence[Tensor]) -> Tensor:
        """Logits (B + 1, N, K): of the branches and, last, of all together."""
        means = self.pre_logits(feats)
        logits = [fc(v) for fc, v in zip(self.branches, means, strict=True)]
        together = torch.stack([*logits, self.fused(torch.cat(means, 1))])
        half = together.dtype in (torch.half, torch.bfloat16)
        return together.float() if half else together

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Logits (N, K) of the output."""
        logits = self.all_logits(feats)
        return logits[-1] if self.output == 'fused' else logit_of_mean(logits)

    def loss(self, feats: Sequence[Tensor], data_samples: list[DataSample]) -> dict[str, Tensor]:
        """Losses of the branches, ``loss_branch0`` …, and ``loss_fused``, weighted."""
        *branches, fused = (
            self._get_loss(logits, data_samples)['loss'] for logits in self.all_logits(feats)
        )
        losses = {
            f'loss_branch{b}': weight * loss
            for b, (weight, loss) in enumerate(zip(self.branch_weight, branches, strict=True))
        }
        return losses | {'loss_fused': self.fused_weight * fused}
