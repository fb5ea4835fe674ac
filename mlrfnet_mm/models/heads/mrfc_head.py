"""MRFC, the multi-level residual feature classifier.

MLRFNet, section III-C, eq. 2; CSRA, Zhu and Wu, ICCV 2021, https://arxiv.org/abs/2108.02456
"""

from collections.abc import Sequence

from torch import Tensor, nn

from mlrfnet_mm.models.heads.score_map_head import ScoreMapHead
from mlrfnet_mm.models.levels import known_channels
from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class MRFCHead(ScoreMapHead):
    """A 1x1 classifier and residual attention on every level, the levels' logits summed.

    The default is eq. 2 (:func:`~.pools.residual_attention`) as it is printed. CSRA's own code
    differs in two points, each an option here: it divides every score by the norm of its class's
    weight vector (``normalize_weight=True``), and at T = 99 it takes the exact maximum
    (``temperature=None``).

    Args:
        num_classes: see :class:`ScoreMapHead`, as for all that is not named here.
        in_channels: channels of the levels, high resolution first.
        lam: weight of each level's residual term, as many as levels; a float serves all.
        temperature: T of eq. 2; ``None`` takes the exact maximum.
        normalize_weight: divide the scores by the norm of their class's weights, as CSRA does.
        loss: the loss module's config; the default is :class:`BiasedFocalLoss`.
        thr: score from which on a finding is in ``pred_label``.
        topk: alternative to ``thr``.
        init_cfg: initialisation.

    Raises:
        ValueError: ``lam`` and ``in_channels`` of different lengths; at run time, levels that are
            not those of ``in_channels``.
    """

    def __init__(
        self,
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
        levels = known_channels(in_channels, 'head')
        weights = (lam,) * len(levels) if isinstance(lam, int | float) else tuple(lam)
        if not levels or len(weights) != len(levels):
            raise ValueError(
                f'MRFCHead needs one lam for each level, got lam={weights} and in_channels={levels}'
            )
        super().__init__(
            num_classes,
            levels,
            pool=[dict(name='residual', lam=each, temperature=temperature) for each in weights],
            bias=False,
            loss=dict(type='mlrfnet_mm.BiasedFocalLoss') if loss is None else loss,
            thr=thr,
            topk=topk,
            init_cfg=init_cfg,
        )
        self.normalize_weight = normalize_weight

    def level_scores(self, level: int, x: Tensor) -> Tensor:
        """Class scores of one level's map, (N, C, H, W) to (N, K, H, W)."""
        scores = super().level_scores(level, x)
        if self.normalize_weight:
            norm = self.classifiers[level].get_parameter('weight').norm(dim=1)  # (K, 1, 1)
            scores = scores / norm
        return scores
