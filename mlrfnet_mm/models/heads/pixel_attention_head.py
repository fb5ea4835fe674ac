r"""Pixel-wise attention of PCAN: each class looks at the places that its attention names.

Zhu et al., Pixel-wise classification and attention network, Comput. Med. Imaging Graph. 102:102137,
2022. From maps :math:`u_j` with scores :math:`s_{kj}`:

.. math:: x' = \mathrm{LN}(x + \mathrm{MHA}(x, x, x)), \quad
          a_k = \mathrm{softmax}_j(w'_k \cdot x'_j + b'_k), \quad
          p_k = \sum_j a_{kj}\, \sigma(s_{kj})

The paper pools probabilities. Here the result is their logit, so that a loss with logits is the
authors' loss on :math:`p_k`, and all tools work. The other poolings that its code compares, ``mil``
and the mean of the probabilities, need no attention: they are pools of :class:`ScoreMapHead`.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from mlrfnet_mm.models.heads.score_map_head import ScoreMapHead
from mlrfnet_mm.registry import MODELS


def attention_logit(scores: Tensor, attention: Tensor) -> Tensor:
    r"""Logit of :math:`\sum_j \mathrm{softmax}_j(a)\, \sigma(s_j)`.

    From both tails, as :func:`~.ten_crop.logit_of_mean`: finite where a probability rounds to 0 or
    to 1.

    Args:
        scores: s, (…, P), single precision or better.
        attention: a, before the softmax, (…, P).
    """
    weight = torch.log_softmax(attention, -1)
    present = torch.logsumexp(weight + F.logsigmoid(scores), -1)
    return present - torch.logsumexp(weight + F.logsigmoid(-scores), -1)


class PixelAttention(BaseModule):
    """Attention scores of every class at every place of one level.

    Args:
        channels: C of the level.
        num_classes: K.
        num_heads: of the self-attention over the places.

    Raises:
        ValueError: ``num_heads`` does not divide ``channels``.
    """

    def __init__(self, channels: int, num_classes: int, num_heads: int) -> None:
        super().__init__()
        if num_heads < 1 or channels % num_heads:
            raise ValueError(f'num_heads must divide the {channels} channels, got {num_heads}')
        # Batch second: with it first, torch's fused path in evaluation hides its products from the
        # counters of multiply-adds.
        self.attend = nn.MultiheadAttention(channels, num_heads)
        self.norm = nn.LayerNorm(channels)
        self.fc = nn.Linear(channels, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to scores before the softmax, (N, K, H*W)."""
        x = x.flatten(2).permute(2, 0, 1)  # (P, N, C)
        x = self.norm(x + self.attend(x, x, x)[0])
        return self.fc(x).permute(1, 2, 0)


@MODELS.register_module()
class PixelAttentionHead(ScoreMapHead):
    """1x1 classifiers, whose probabilities are pooled by :class:`PixelAttention`.

    PCAN has one level; several are taken as in :class:`ScoreMapHead`, their logits summed. The cost
    of the attention grows with the square of a level's places.

    Args:
        num_classes: see :class:`ScoreMapHead`, as for all that is not named here.
        in_channels: channels of the levels.
        num_heads: of the self-attention, 8 in PCAN.
        loss: the loss module's config; the default is binary cross-entropy, torch's mean.
        thr: score from which on a finding is in ``pred_label``.
        topk: alternative to ``thr``.
        init_cfg: initialisation; the default is normal with std 0.01 on the 1x1 classifiers and
            torch's own in the attention.

    Raises:
        ValueError: ``num_heads`` does not divide a level's channels; at run time, levels that are
            not those of ``in_channels``.
    """

    def __init__(
        self,
        num_classes: int = 14,
        in_channels: Sequence[int] | None = (512,),
        num_heads: int = 8,
        loss: dict | nn.Module | None = None,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            num_classes,
            in_channels,
            pool='mean_probability',  # what it is with equal attention
            loss=loss,
            thr=thr,
            topk=topk,
            init_cfg=init_cfg,
        )
        self.attentions = nn.ModuleList(
            PixelAttention(c, num_classes, num_heads) for c in self.in_channels
        )

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Logits (N, K), the levels summed."""
        logits = []
        for attention, x, scores in zip(
            self.attentions, feats, self.score_maps(feats), strict=True
        ):
            weight = attention(x).to(scores.dtype)  # single precision under autocast
            logits.append(attention_logit(scores.flatten(2), weight))
        return torch.stack(logits).sum(0)
