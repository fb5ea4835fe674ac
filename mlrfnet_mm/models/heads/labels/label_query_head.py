r"""Label queries: each finding asks all places of all levels, by attention.

``'ml-decoder'``: Ridnik et al., "ML-Decoder: Scalable and Versatile Classification Head", 2021,
https://arxiv.org/abs/2111.12933, and its public code, with a query for each label (group factor 1).
Features :math:`m = \mathrm{ReLU}(\mathrm{Proj}\,U)`, frozen queries q:

.. math::
    h = \mathrm{LN}_1(q + \mathrm{dropout}(q)), \quad h \leftarrow \mathrm{LN}_2(h +
    \mathrm{MHA}(h, m, m)), \quad h \leftarrow \mathrm{LN}_3(h + \mathrm{FFN}(h)), \quad
    z_k = w_k \cdot h_k + b_k

``'query2label'``: Liu et al., "Query2Label: A Simple Transformer Way to Multi-Label
Classification", 2021, https://arxiv.org/abs/2107.10834, and its public code: one encoder layer,
then two decoder layers without attention among the labels, whose target starts at 0; trained
queries and sine positions are added to query and key, not to value.

Several levels are our choice: their places are concatenated, each level with a vector of its own.
"""

import math
from collections.abc import Sequence

import torch
from mmpretrain.models import MultiLabelClsHead
from torch import Tensor, nn

from mlrfnet_mm.models.heads.score_map_head import BCE
from mlrfnet_mm.models.levels import check_levels, classify_each, known_channels
from mlrfnet_mm.registry import MODELS

VARIANTS = ('ml-decoder', 'query2label')


def sine_positions(height: int, width: int, dim: int, device: torch.device | None = None) -> Tensor:
    r"""Sine and cosine of row and column, (height·width, dim), as in DETR.

    Half of the channels are of the row, half of the column. With the position :math:`p` from 0 to
    :math:`2\pi` at the last row, channels 2i and 2i + 1 of a half are sine and cosine of
    :math:`p / 10000^{2i / (dim / 2)}`. Carion et al., ECCV 2020, https://arxiv.org/abs/2005.12872

    Raises:
        ValueError: a number of channels that four does not divide.
    """
    if dim % 4:
        raise ValueError(f'sine positions need a dim that 4 divides, got {dim}')
    half = dim // 2
    rates = 10_000 ** (-torch.arange(0, half, 2, device=device) / half)  # (half/2,)
    sides = []
    for n in (height, width):
        angles = 2 * math.pi * torch.arange(1, n + 1, device=device)[:, None] / n * rates
        sides.append(torch.stack([angles.sin(), angles.cos()], -1).flatten(1))  # (n, half)
    rows, columns = sides
    both = [rows[:, None].expand(-1, width, -1), columns[None].expand(height, -1, -1)]
    return torch.cat(both, -1).flatten(0, 1)


class AttentionLayer(nn.Module):
    """Attention and a feed-forward network, each added to its input and normalized after.

    Args:
        dim: channels.
        heads: of the attention.
        hidden: channels in the feed-forward network.
        dropout: share of what is dropped.
    """

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(dim, heads, dropout=dropout, batch_first=True)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.feed_forward = nn.Sequential(
            nn.Linear(dim, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, dim)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Add to x (N, K, D) what ``query`` (N, K, D) finds in ``key`` and ``value`` (N, P, D)."""
        found = self.attention(query, key, value, need_weights=False)[0]
        x = self.norm1(x + self.dropout(found))
        return self.norm2(x + self.dropout(self.feed_forward(x)))


@MODELS.register_module()
class LabelQueryHead(MultiLabelClsHead):
    """A query for each finding, which attends to the places of all levels.

    The defaults are ML-Decoder's. Query2Label's are ``dim=2048, hidden=8192, heads=4``, with U4
    alone; a level of ``dim`` channels has no projection there, as in its code.

    Args:
        num_classes: number K of findings.
        in_channels: channels of the levels, high resolution first; any number of levels. In a
            config, None is what the part before gives.
        variant: ``'ml-decoder'`` or ``'query2label'``.
        dim: channels D of queries and places.
        hidden: channels in the feed-forward networks.
        heads: of the attention.
        dropout: in training.
        loss: the loss module's config; the default is binary cross-entropy, torch's mean.
        thr: score from which on a finding is in ``pred_label``; mmpretrain's default is 0.5.
        topk: alternative to ``thr``: so many findings are in ``pred_label``.
        init_cfg: initialisation; the default is that of the two papers' codes.

    Raises:
        ValueError: an unknown variant, heads that do not divide ``dim``; at run time, levels that
            are not those of ``in_channels``.
    """

    def __init__(
        self,
        num_classes: int = 14,
        in_channels: Sequence[int] | None = (2048,),
        variant: str = 'ml-decoder',
        dim: int = 768,
        hidden: int = 2048,
        heads: int = 8,
        dropout: float = 0.1,
        loss: dict | nn.Module | None = None,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(BCE if loss is None else loss, thr, topk, init_cfg)
        if variant not in VARIANTS:
            raise ValueError(f'variant must be one of {", ".join(VARIANTS)}, got {variant!r}')
        if dim < 1 or dim % heads:
            raise ValueError(f'heads must divide dim, got heads={heads} and dim={dim}')
        self.num_classes = num_classes
        self.in_channels = known_channels(in_channels, 'head')
        if not self.in_channels:
            raise ValueError('LabelQueryHead needs at least one level, got in_channels=()')
        self.variant, self.dim = variant, dim
        decoding = variant == 'ml-decoder'
        self.projections = nn.ModuleList(
            nn.Identity() if c == dim and not decoding else nn.Linear(c, dim)
            for c in self.in_channels
        )
        levels = len(self.in_channels)
        self.level_vectors = nn.Parameter(torch.zeros(levels, dim)) if levels > 1 else None
        self.queries = nn.Parameter(torch.randn(num_classes, dim), requires_grad=not decoding)
        layers = [AttentionLayer(dim, heads, hidden, dropout) for _ in range(1 if decoding else 3)]
        self.layers = nn.ModuleList(layers)  # Query2Label: the first encodes, the others decode
        self.norm = nn.LayerNorm(dim)  # ML-Decoder: before attention; Query2Label: at the end
        self.dropout = nn.Dropout(dropout)
        self.weight = nn.Parameter(torch.empty(num_classes, dim))
        self.bias = nn.Parameter(torch.zeros(num_classes))
        self._initialize()

    def _initialize(self) -> None:
        """As the two codes do."""
        if self.variant == 'ml-decoder':
            nn.init.xavier_normal_(self.weight)
            return
        for layer in self.layers:
            for weight in layer.parameters():
                if weight.dim() > 1:
                    nn.init.xavier_uniform_(weight)
        bound = self.dim**-0.5
        nn.init.uniform_(self.weight, -bound, bound)
        nn.init.uniform_(self.bias, -bound, bound)

    def pre_logits(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Pass all levels on (mmpretrain's heads keep the last one only)."""
        check_levels(feats, self.in_channels, 'head')
        return tuple(feats)

    def places(self, feats: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """The places of all levels (N, P, D) and, for Query2Label, what keys add to them (P, D)."""
        values, positions = [], []
        for level, x in enumerate(self.pre_logits(feats)):
            value = self.projections[level](x.flatten(2).mT)  # (N, C, H, W) -> (N, H*W, D)
            vector = 0.0 if self.level_vectors is None else self.level_vectors[level]
            if self.variant == 'ml-decoder':
                values.append(value.relu() + vector)
            else:
                values.append(value)
                sines = sine_positions(x.shape[2], x.shape[3], self.dim, x.device)
                positions.append(sines.to(value.dtype) + vector)
        return torch.cat(values, 1), torch.cat(positions) if positions else None

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Logits (N, K), in single precision."""
        memory, positions = self.places(feats)
        queries = self.queries.expand(memory.shape[0], -1, -1)  # (N, K, D)
        if positions is None:
            h = self.norm(queries + self.dropout(queries))
            h = self.layers[0](h, h, memory, memory)
        else:
            encoder, *decoders = self.layers
            memory = encoder(memory, memory + positions, memory + positions, memory)
            h = torch.zeros_like(queries)
            for decoder in decoders:
                h = decoder(h, h + queries, memory + positions, memory)
            h = self.norm(h)
        h = h.float() if h.dtype in (torch.half, torch.bfloat16) else h
        return classify_each(h, self.weight.to(h.dtype), self.bias.to(h.dtype))
