"""Score maps: a 1x1 classifier on every level, each map pooled into a logit.

Global average pooling and a linear layer, LSE, PCAM and MRFC are one head with one pool each
(``pools.py``, with their sources), and their heat maps are its scores.
"""

from collections.abc import Sequence

import torch
from mmpretrain.models import MultiLabelClsHead
from torch import Tensor, nn

from mlrfnet_mm.models.heads.pools import PoolConfig, make_pools
from mlrfnet_mm.models.levels import check_levels, known_channels
from mlrfnet_mm.registry import MODELS

BCE = dict(
    type='mlrfnet_mm.MaskedLoss',
    loss=dict(type='mmpretrain.CrossEntropyLoss', use_sigmoid=True),
)


@MODELS.register_module()
class ScoreMapHead(MultiLabelClsHead):
    """A 1x1 classifier and a pool on every level, the levels' logits summed.

    A head of this family overrides :meth:`level_scores` where its scores are others, or
    :meth:`forward` where its pooling is.

    Args:
        num_classes: number K of findings.
        in_channels: channels of the levels, high resolution first; any number of levels. In a
            config, None is what the part before gives, as in :class:`ECANeck`.
        pool: of ``pools.py``: a name, or a dict of ``name`` and parameters, as
            ``dict(name='lse', r=10.0)``; a list has one for each level.
        bias: of the classifiers.
        loss: the loss module's config; the default is binary cross-entropy, torch's mean.
        thr: score from which on a finding is in ``pred_label``; mmpretrain's default is 0.5.
        topk: alternative to ``thr``: so many findings are in ``pred_label``.
        init_cfg: initialisation; the default is normal with std 0.01 on the classifiers, as torch's
            default on three summed levels of pretrained features starts with a loss about 30 times
            its later value.

    Raises:
        ValueError: an unknown pool, or another number of them than of levels; at run time, levels
            that are not those of ``in_channels``.
    """

    def __init__(
        self,
        num_classes: int = 14,
        in_channels: Sequence[int] | None = (512, 1024, 2048),
        pool: PoolConfig | Sequence[PoolConfig] = 'mean',
        bias: bool = True,
        loss: dict | nn.Module | None = None,
        thr: float | None = None,
        topk: int | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            loss=BCE if loss is None else loss,
            thr=thr,
            topk=topk,
            init_cfg=init_cfg or dict(type='Normal', layer='Conv2d', std=0.01),
        )
        self.num_classes = num_classes
        self.in_channels = known_channels(in_channels, 'head')
        self.pools = make_pools(pool, len(self.in_channels))
        self.classifiers = nn.ModuleList(
            nn.Conv2d(c, num_classes, kernel_size=1, bias=bias) for c in self.in_channels
        )

    @property
    def lam(self) -> tuple[float, ...]:
        """Weight with which a level's strongest place enters the logit, 1 where a pool has none."""
        return tuple(pool.keywords.get('lam', 1.0) for pool in self.pools)

    def pre_logits(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Pass all levels on (mmpretrain's heads keep the last one only)."""
        check_levels(feats, self.in_channels, 'head')
        return tuple(feats)

    def level_scores(self, level: int, x: Tensor) -> Tensor:
        """Class scores of one level's map, (N, C, H, W) to (N, K, H, W)."""
        return self.classifiers[level](x)

    def score_maps(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Class scores at every place, (N, K, H_l, W_l) for each level, in single precision."""
        maps = []
        for level, x in enumerate(self.pre_logits(feats)):
            scores = self.level_scores(level, x)
            # Under autocast: T times a half-precision score has steps of 0.5 near 1,000.
            maps.append(scores.float() if scores.dtype in (torch.half, torch.bfloat16) else scores)
        return tuple(maps)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Logits (N, K), the levels summed."""
        return torch.stack(
            [
                pool(scores.flatten(2))  # (N, K, H_l*W_l) -> (N, K)
                for pool, scores in zip(self.pools, self.score_maps(feats), strict=True)
            ]
        ).sum(0)
