r"""A head's own class score maps, which need no gradient.

Eq. 2 of MLRFNet pools the scores :math:`\mu_{lk}` of finding k at every place of level l:

.. math:: P_k = \sum_l \Big(\frac{1}{H_l W_l} \sum_j \mu_{lkj}
          + \lambda_l \sum_j \mathrm{softmax}(T \mu_{lk})_j \, \mu_{lkj}\Big)

The first term is the same whatever the place. The second, at T = 99 all but the maximum, is what
looks for a place: a level's strongest one enters the logit with weight :math:`\lambda_l`. So the
map of finding k is the :math:`\lambda`-weighted sum of the levels, brought to one resolution:

.. math:: M_k = \sum_l \lambda_l \, \mathrm{up}(\mu_{lk})

``up`` is bilinear, each cell of a level at the center of what it looks at (``xrays/heat.py``).
Units are those of the logits. The paper defines no such map; this is ours, after its equation.

The other pools of :class:`ScoreMapHead` have no :math:`\lambda`: all their levels weigh 1. With the
mean and one level, the map is CAM (Zhou et al., CVPR 2016, https://arxiv.org/abs/1512.04150).
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from mlrfnet_mm.inference.heatmaps.receptive_field import Step, cell_shift
from mlrfnet_mm.models import ScoreMapHead
from mlrfnet_mm.xrays.heat import spread


def pick(scores: Tensor, classes: Tensor) -> Tensor:
    """Take the maps of ``classes`` (N, M) out of (N, K, h, w): (N, M, h, w)."""
    return scores[torch.arange(len(scores), device=scores.device)[:, None], classes]


def level_maps(
    head: ScoreMapHead,
    feats: Sequence[Tensor],
    classes: Tensor,
    size: tuple[int, int],
    steps: Sequence[Step] = (),
) -> np.ndarray:
    """Each level's map of some findings, (L, N, M, H, W) float32, high resolution first.

    Args:
        head: the classifier.
        feats: the levels after the neck, (N, C_l, h_l, w_l).
        classes: (N, M) indices of findings for each image.
        size: (H, W) of the input.
        steps: of the backbone, see :func:`shrinking_steps`.
    """
    maps = []
    for scores in head.score_maps(feats):
        shift = cell_shift(steps, size, (scores.shape[-2], scores.shape[-1]))
        maps.append(spread(pick(scores, classes).float().cpu().numpy(), size, shift))
    return np.stack(maps)
