r"""A graph over what each finding looks at: PCAM's features of the findings exchange messages.

A stand-in after Jung, Gu and Harada, Proc. SPIE 12032:135-147, 2022 (F-PCAM, FGR-PCAM), whose text
was not available: MLRFNet says of it that it uses a "graph structure to learn the relationships
between lesion-specific features in localized regions". What follows is our choice. With PCAM's
weights :math:`a_{kj}` of place j for finding k (``pools.py``):

.. math::
    f_k = \sum_j a_{kj} u_j, \quad f' = f + \mathrm{LeakyReLU}_{0.2}(\hat A f W_g), \quad
    z_k = w_k \cdot f'_k + b_k

The graph :math:`\hat A` is of the training labels (``label_graph.py``), or learned: the softmax of
the rows of a K x K parameter. :math:`W_g = 0` is PCAM.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mlrfnet_mm.models.heads.labels.label_graph import find_graph
from mlrfnet_mm.models.heads.score_map_head import ScoreMapHead
from mlrfnet_mm.models.levels import classify_each, without_autocast
from mlrfnet_mm.registry import MODELS

SLOPE = 0.2  # of LeakyReLU


@MODELS.register_module()
class FindingGraphHead(ScoreMapHead):
    """PCAM, whose features of the findings pass through one graph layer on every level.

    Its score maps are those of the 1x1 classifiers, as PCAM's.

    Args:
        graph: as in :class:`LabelGraphHead`; None learns it.
        threshold: P(j | i) from which on j is an edge of i; None is the graph file's own.
        soft: no threshold: the shares themselves.
        num_classes: see :class:`ScoreMapHead`, as for all that follows.
        in_channels: channels of the levels, high resolution first.
        loss: the loss module's config; the default is binary cross-entropy, torch's mean.
        thr: score from which on a finding is in ``pred_label``.
        topk: alternative to ``thr``.
        init_cfg: initialisation; the default is normal with std 0.01 on the classifiers, and
            uniform in ±1/√C on the graph layers.

    Raises:
        FileNotFoundError: no such graph.
        ValueError: a graph of other classes; options for a graph that there is not.
    """

    def __init__(
        self,
        graph: str | Mapping[str, Any] | None,
        threshold: float | None = None,
        soft: bool = False,
        num_classes: int = 14,
        in_channels: Sequence[int] | None = (1024,),
        loss: dict | nn.Module | None = None,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(num_classes, in_channels, 'pcam', True, loss, thr, topk, init_cfg)
        self.register_buffer('propagation', None)
        if graph is None:
            if threshold is not None or soft:
                raise ValueError('threshold and soft are of a graph file, and graph is None')
            self.label_classes: tuple[str, ...] | None = None
            self.affinity = nn.Parameter(torch.zeros(num_classes, num_classes))
        else:
            counts = find_graph(graph, num_classes)
            self.label_classes = counts.classes
            self.propagation = torch.from_numpy(counts.propagation(threshold, soft)).float()
        self.graph_layers = nn.ParameterList(
            torch.empty(c, c).uniform_(-(c**-0.5), c**-0.5) for c in self.in_channels
        )

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Logits (N, K), the levels summed, in single precision."""
        graph = self.affinity.softmax(1) if self.propagation is None else self.propagation
        logits = []
        for level, (x, scores) in enumerate(zip(feats, self.score_maps(feats), strict=True)):
            with without_autocast(x):
                weights = F.logsigmoid(scores.flatten(2)).softmax(-1)  # (N, K, H*W)
                f = weights @ x.flatten(2).mT.to(weights.dtype)  # (N, K, C)
                message = graph.to(f.dtype) @ (f @ self.graph_layers[level].to(f.dtype))
                f = f + F.leaky_relu(message, SLOPE)
                classifier = self.classifiers[level]
                weight = classifier.get_parameter('weight').flatten(1).to(f.dtype)  # (K, C)
                bias = classifier.get_parameter('bias').to(f.dtype)
                logits.append(classify_each(f, weight, bias))
        return torch.stack(logits).sum(0)
