r"""A label graph makes the classifiers: findings that occur together share what they look for.

GCN: ML-GCN, Chen et al., CVPR 2019, https://arxiv.org/abs/1904.03582. GAT: Velickovic et al., ICLR
2018, https://arxiv.org/abs/1710.10903. From label vectors Z (K, E) and the graph :math:`\hat A` of
the training labels (``label_graph.py``) come the weights of each level's 1x1 classifier:

.. math::
    H = \mathrm{LeakyReLU}_{0.2}(\hat A Z W), \quad W^{(l)} = \hat A H V_l, \quad
    s_{kj} = W^{(l)}_k \cdot u_j

What a GAT puts for :math:`\hat A` is the softmax over the edges and the label itself of
:math:`\mathrm{LeakyReLU}_{0.2}(a_1 \cdot W z_i + a_2 \cdot W z_j)`, for each of its heads. The
scores are pooled as any others are. At test the weights do not change, and so are made once: the
graph costs nothing.

Our choices: Z is random and frozen unless word vectors are given; an edge of i is what enters label
i in :math:`\hat A`; the last layer is scaled so that the weights begin with the std of
:class:`MRFCHead`'s, 0.01.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrfnet_mm.models.heads.labels.label_graph import find_graph
from mlrfnet_mm.models.heads.mrfc_head import MRFCHead
from mlrfnet_mm.models.heads.pools import PoolConfig, make_pools
from mlrfnet_mm.models.levels import without_autocast
from mlrfnet_mm.registry import MODELS

SLOPE = 0.2  # of LeakyReLU
STD = 0.01  # of the classifiers' first weights, as MRFCHead's
LAYERS = ('gcn', 'gat')


class GraphConvolution(nn.Module):
    r""":math:`\hat A Z W`, without a bias.

    Args:
        inputs: channels of Z.
        outputs: channels that come out.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = outputs**-0.5  # as in ML-GCN's code
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-bound, bound))

    def forward(self, z: Tensor, graph: Tensor) -> Tensor:
        """Z (K, E) and the graph (K, K) to (K, outputs)."""
        return graph @ (z @ self.weight)


class GraphAttention(nn.Module):
    """Several heads of graph attention, concatenated; no bias, no dropout.

    Args:
        inputs: channels of Z.
        outputs: channels of all heads together.
        heads: number of heads.
    """

    def __init__(self, inputs: int, outputs: int, heads: int) -> None:
        super().__init__()
        bound = outputs**-0.5
        self.weight = nn.Parameter(torch.empty(inputs, outputs).uniform_(-bound, bound))
        ends = torch.empty(2, heads, outputs // heads).uniform_(-bound, bound)
        self.ends = nn.Parameter(ends)  # a1, a2

    def forward(self, z: Tensor, graph: Tensor) -> Tensor:
        """Z (K, E) and the graph (K, K), of which it counts what is not 0, to (K, outputs)."""
        h = (z @ self.weight).unflatten(1, self.ends.shape[1:]).transpose(0, 1)  # (heads, K, D)
        a1, a2 = ((h * end[:, None]).sum(-1) for end in self.ends)  # (heads, K) each
        e = F.leaky_relu(a1[:, :, None] + a2[:, None, :], SLOPE)  # (heads, K, K)
        return (e.masked_fill(graph == 0, -torch.inf).softmax(-1) @ h).transpose(0, 1).flatten(1)


def draw_vectors(classes: int, seed: int, channels: int = 300) -> Tensor:
    """Random label vectors of length about 1, (K, E), the same for a seed on every machine."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(classes, channels, generator=generator) / channels**0.5


def read_vectors(path: str | Path, classes: Sequence[str]) -> Tensor:
    """Read word vectors of the labels, (K, E).

    Raises:
        ValueError: other arrays than ``classes`` and ``vectors``, other classes or another order,
            numbers that are not finite.
    """
    with np.load(path, allow_pickle=False) as file:
        found = {key: file[key] for key in file.files}
    if set(found) != {'classes', 'vectors'}:
        raise ValueError(f'{path} must hold the arrays classes and vectors, got {sorted(found)}')
    names, vectors = found['classes'].tolist(), found['vectors']
    if names != list(classes):
        raise ValueError(
            f'{path} is of {names}, the label graph of {list(classes)}: write it again'
        )
    if vectors.ndim != 2 or len(vectors) != len(names) or not np.isfinite(vectors).all():
        raise ValueError(
            f'{path}: vectors must be finite numbers ({len(names)}, E), got {vectors.shape}'
        )
    return torch.from_numpy(vectors).float()


@MODELS.register_module()
class LabelGraphHead(MRFCHead):
    """:class:`MRFCHead` whose 1x1 classifiers come out of a label graph.

    Args:
        graph: file of ``mlrfnet label-graph``, one that is shipped, as
            ``'graphs/xray14_official_train.json'``, or what such a file holds. A training refuses
            one of other classes than its data's.
        layer: ``'gcn'`` or ``'gat'``.
        hidden: channels between the two layers; None is one layer alone.
        heads: of a GAT's first layer.
        threshold: P(j | i) from which on j is an edge of i; None is the graph file's own.
        soft: no threshold: the shares themselves.
        vectors: ``.npz`` of word vectors, ``classes`` (K,) and ``vectors`` (K, E); None draws
            them from a normal distribution of std 1/√E, E = 300.
        seed: of that draw.
        pool: of ``pools.py``, in place of MRFC's residual attention, whose ``lam`` and
            ``temperature`` are not used then.
        num_classes: see :class:`MRFCHead`, as for all that follows.
        in_channels: channels of the levels, high resolution first.
        lam: weight of each level's residual term.
        temperature: T of eq. 2.
        normalize_weight: divide the scores by the norm of their class's weights.
        loss: the loss module's config.
        thr: score from which on a finding is in ``pred_label``.
        topk: alternative to ``thr``.
        init_cfg: initialisation; the default is in the module's text.

    Raises:
        FileNotFoundError: no such graph or vectors.
        ValueError: a graph or vectors of other classes; wrong options.
    """

    def __init__(
        self,
        graph: str | Mapping[str, Any],
        layer: str = 'gcn',
        hidden: int | None = 1024,
        heads: int = 4,
        threshold: float | None = None,
        soft: bool = False,
        vectors: str | None = None,
        seed: int = 0,
        pool: PoolConfig | Sequence[PoolConfig] | None = None,
        num_classes: int = 14,
        in_channels: Sequence[int] | None = (512, 1024, 2048),
        lam: Sequence[float] | float = (0.5, 0.3, 0.1),
        temperature: float | None = 99.0,
        normalize_weight: bool = False,
        loss: dict | nn.Module | None = None,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        lam = lam if pool is None else 0.0
        super().__init__(
            num_classes, in_channels, lam, temperature, normalize_weight, loss, thr, topk, init_cfg
        )
        del self.classifiers  # the graph makes their weights
        if pool is not None:
            self.pools = make_pools(pool, len(self.in_channels))
        if layer not in LAYERS:
            raise ValueError(f'layer must be one of {", ".join(LAYERS)}, got {layer!r}')
        if layer == 'gat' and (hidden or 0) % heads:
            raise ValueError(f'heads must divide hidden, got heads={heads} and hidden={hidden}')
        counts = find_graph(graph, num_classes)
        self.label_classes = counts.classes
        z = (
            draw_vectors(num_classes, seed)
            if vectors is None
            else read_vectors(vectors, counts.classes)
        )
        self.register_buffer('vectors', z)
        propagation = torch.from_numpy(counts.propagation(threshold, soft)).to(z.dtype)
        self.register_buffer('propagation', propagation)
        inner = z.shape[1] if hidden is None else hidden

        def make(inputs: int, outputs: int, n: int) -> nn.Module:
            gcn = layer == 'gcn'
            return GraphConvolution(inputs, outputs) if gcn else GraphAttention(inputs, outputs, n)

        self.first = None if hidden is None else make(z.shape[1], hidden, heads)
        self.last = nn.ModuleList(make(inner, c, 1) for c in self.in_channels)
        self.activation = nn.LeakyReLU(SLOPE) if layer == 'gcn' else nn.ELU()
        self._made: list[Tensor] = []
        self._scale_last_layers()

    @torch.no_grad()
    def _scale_last_layers(self) -> None:
        """Let the classifiers' weights begin with a std of 0.01."""
        for _ in range(3):  # a GAT's attention follows its weights: not linear
            for layer, weight in zip(self.last, self._make_weights(), strict=True):
                layer.get_parameter('weight').mul_(STD / weight.std())

    def _make_weights(self) -> list[Tensor]:
        z, graph = self.get_buffer('vectors'), self.get_buffer('propagation')
        with without_autocast(z):
            if self.first is not None:
                z = self.activation(self.first(z, graph))
            return [layer(z, graph) for layer in self.last]

    def weights(self) -> list[Tensor]:
        """Weights of the levels' classifiers, (K, C_l): for testing, made once."""
        if self.training or torch.is_grad_enabled():
            return self._make_weights()
        if not self._made:
            self._made = self._make_weights()
        return self._made

    def train(self, mode: bool = True) -> 'LabelGraphHead':
        """Switch the mode; what was made is made again."""
        self._made = []
        super().train(mode)
        return self

    def _apply(self, *args: Any, **kwargs: Any) -> 'LabelGraphHead':
        self._made = []
        super()._apply(*args, **kwargs)
        return self

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._made = []
        super()._load_from_state_dict(*args, **kwargs)

    def score_maps(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Class scores at every place, (N, K, H_l, W_l) for each level, in single precision."""
        maps = []
        for weight, x in zip(self.weights(), self.pre_logits(feats), strict=True):
            scores = F.conv2d(x, weight[:, :, None, None])  # (N, C, H, W) -> (N, K, H, W)
            if self.normalize_weight:
                scores = scores / weight.norm(dim=1)[:, None, None]
            maps.append(scores.float() if scores.dtype in (torch.half, torch.bfloat16) else scores)
        return tuple(maps)
