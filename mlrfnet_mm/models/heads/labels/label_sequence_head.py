r"""Labels one after the other, each given those before it, by an LSTM.

A stand-in after Yao et al., "Learning to diagnose from scratch by exploiting dependencies among
labels", 2017, https://arxiv.org/abs/1710.10501, whose text was not available: known is an LSTM
decoder over a fixed sequence of sigmoids. What follows is our choice. With f the pooled features of
all levels and :math:`y_0 = 0`:

.. math::
    h_0 = \tanh(W_h f + b_h), \quad c_0 = \tanh(W_c f + b_c), \quad
    (h_t, c_t) = \mathrm{LSTM}([f; y_{t-1}], (h_{t-1}, c_{t-1})), \quad
    z_t = v_t \cdot h_t + b_t

Training feeds the true :math:`y_{t-1}`, and :math:`\sigma(z_{t-1})` where it is unknown; testing
feeds :math:`\sigma(z_{t-1})`, which draws nothing.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmpretrain.models import MultiLabelClsHead
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from mlrfnet_mm.models.heads.score_map_head import BCE
from mlrfnet_mm.models.levels import check_levels, known_channels
from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class LabelSequenceHead(MultiLabelClsHead):
    """An LSTM over the findings, in the data set's order.

    Args:
        num_classes: number K of findings.
        in_channels: channels of the levels, whose means are concatenated to f; in a config, None is
            what the part before gives.
        hidden: channels of the LSTM.
        loss: the loss module's config; the default is binary cross-entropy, torch's mean.
        thr: score from which on a finding is in ``pred_label``; mmpretrain's default is 0.5.
        topk: alternative to ``thr``: so many findings are in ``pred_label``.
        init_cfg: initialisation; the default is torch's of the LSTM and linear layers, and normal
            with std 0.01 for v.

    Raises:
        ValueError: at run time, levels that are not those of ``in_channels``, and labels of another
            number than K.
    """

    def __init__(
        self,
        num_classes: int = 14,
        in_channels: Sequence[int] | None = (1024,),
        hidden: int = 256,
        loss: dict | nn.Module | None = None,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(BCE if loss is None else loss, thr, topk, init_cfg)
        self.num_classes = num_classes
        self.in_channels = known_channels(in_channels, 'head')
        if not self.in_channels:
            raise ValueError('LabelSequenceHead needs at least one level, got in_channels=()')
        channels = sum(self.in_channels)
        self.first_hidden = nn.Linear(channels, hidden)
        self.first_cell = nn.Linear(channels, hidden)
        self.lstm = nn.LSTMCell(channels + 1, hidden)
        self.weight = nn.Parameter(0.01 * torch.randn(num_classes, hidden))
        self.bias = nn.Parameter(torch.zeros(num_classes))

    def pre_logits(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Pass all levels on (mmpretrain's heads keep the last one only)."""
        check_levels(feats, self.in_channels, 'head')
        return tuple(feats)

    def forward(self, feats: Sequence[Tensor], target: Tensor | None = None) -> Tensor:
        """Logits (N, K), in single precision.

        Args:
            feats: the levels, (N, C_l, H_l, W_l).
            target: labels (N, K) to feed, NaN for unknown; None feeds the head's own scores.
        """
        f = torch.cat([x.mean((2, 3)) for x in self.pre_logits(feats)], 1)  # (N, C)
        if target is not None and target.shape != (len(f), self.num_classes):
            raise ValueError(
                f'labels of {tuple(target.shape)} for {len(f)} images and {self.num_classes} '
                'findings: set model.head.num_classes'
            )
        state = self.first_hidden(f).tanh(), self.first_cell(f).tanh()  # (N, hidden) each
        fed, logits = f.new_zeros(f.shape[0], 1), []
        for k in range(self.num_classes):
            state = self.lstm(torch.cat([f, fed.to(f.dtype)], 1), state)
            z = F.linear(state[0], self.weight[k : k + 1], self.bias[k : k + 1])  # (N, 1)
            logits.append(z.float() if z.dtype in (torch.half, torch.bfloat16) else z)
            fed = logits[-1].detach().sigmoid()  # a label, not a path for gradients
            if target is not None:
                true = target[:, k : k + 1].to(fed.dtype)
                fed = torch.where(true.isnan(), fed, true)
        return torch.cat(logits, 1)

    def loss(
        self, feats: Sequence[Tensor], data_samples: list[DataSample], **options: object
    ) -> dict[str, Tensor]:
        """The loss, the true labels fed in training; the options are mmpretrain's, of the loss."""
        target = torch.stack([sample.gt_score for sample in data_samples])
        logits = self(feats, target if self.training else None)
        losses: dict[str, Tensor] = self._get_loss(logits, data_samples, **options)
        return losses
