"""MRFC, the multi-level residual feature classifier.

MLRFNet, section III-C, eq. 2; CSRA, Zhu and Wu, ICCV 2021, https://arxiv.org/abs/2108.02456
"""

from collections.abc import Sequence

import torch
from mmpretrain.models import MultiLabelClsHead
from torch import Tensor, nn

from mlrfnet_mm.models.levels import check_levels, known_channels
from mlrfnet_mm.registry import MODELS


def residual_attention(scores: Tensor, lam: float, temperature: float | None) -> Tensor:
    r"""Pool the score maps of one level into logits, eq. 2.

    .. math:: P = \frac{1}{HW} \sum_j \mu_j + \lambda \sum_j \mathrm{softmax}(T \mu_j) \mu_j

    Args:
        scores: the class scores :math:`\mu` at every place, (N, K, H*W).
        lam: weight of the residual term.
        temperature: sharpness T of the spatial softmax; ``None`` is its limit, the exact maximum.

    Returns:
        Logits (N, K).
    """
    if temperature is None:
        residual = scores.amax(-1)
    else:
        residual = (torch.softmax(temperature * scores, -1) * scores).sum(-1)
    return scores.mean(-1) + lam * residual


@MODELS.register_module()
class MRFCHead(MultiLabelClsHead):
    """A 1x1 classifier and :func:`residual_attention` on every level, the levels' logits summed.

    The default is eq. 2 as it is printed. CSRA's own code differs in two points, each an option
    here: it divides every score by the norm of its class's weight vector
    (``normalize_weight=True``), and at T = 99 it takes the exact maximum (``temperature=None``).

    Args:
        num_classes: number K of findings.
        in_channels: channels of the levels, high resolution first; any number of levels. In a
            config, None is what the part before gives, as in :class:`ECANeck`.
        lam: weight of each level's residual term, as many as levels; a float serves all.
        temperature: T of eq. 2; ``None`` takes the exact maximum.
        normalize_weight: divide the scores by the norm of their class's weights, as CSRA does.
        loss: the loss module's config.
        thr: least score of a finding in ``pred_label``; mmpretrain's default is 0.5.
        topk: alternative to ``thr``: number of findings in ``pred_label``.
        init_cfg: initialization; the default is normal with std 0.01 on the classifiers, as torch's
            default on three summed levels of pretrained features starts with a loss about 30 times
            its later value.

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
        super().__init__(
            loss=dict(type='mlrfnet_mm.BiasedFocalLoss') if loss is None else loss,
            thr=thr,
            topk=topk,
            init_cfg=init_cfg or dict(type='Normal', layer='Conv2d', std=0.01),
        )
        self.num_classes = num_classes
        self.in_channels = known_channels(in_channels, 'head')
        self.lam = (lam,) * len(self.in_channels) if isinstance(lam, int | float) else tuple(lam)
        if not self.in_channels or len(self.lam) != len(self.in_channels):
            raise ValueError(
                'MRFCHead needs one lam for each level, got '
                f'lam={self.lam} and in_channels={self.in_channels}'
            )
        if temperature is not None and temperature <= 0:
            raise ValueError(f'temperature must be positive or None (maximum), got {temperature}')
        self.temperature = temperature
        self.normalize_weight = normalize_weight
        self.classifiers = nn.ModuleList(
            nn.Conv2d(c, num_classes, kernel_size=1, bias=False) for c in self.in_channels
        )

    def pre_logits(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Pass all levels on (mmpretrain's heads keep the last one only)."""
        check_levels(feats, self.in_channels, 'head')
        return tuple(feats)

    def score_maps(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Class scores at every place, (N, K, H_l, W_l) for each level."""
        maps = []
        for classifier, x in zip(self.classifiers, self.pre_logits(feats), strict=True):
            scores = classifier(x)  # (N, C, H, W) -> (N, K, H, W)
            if self.normalize_weight:
                norm = classifier.get_parameter('weight').norm(dim=1)  # (K, 1, 1)
                scores = scores / norm
            # Under autocast: T times a half-precision score has steps of 0.5 near 1,000.
            maps.append(scores.float() if scores.dtype in (torch.half, torch.bfloat16) else scores)
        return tuple(maps)

    def forward(self, feats: Sequence[Tensor]) -> Tensor:
        """Logits (N, K), the levels summed."""
        return torch.stack(
            [
                residual_attention(scores.flatten(2), lam, self.temperature)
                for scores, lam in zip(self.score_maps(feats), self.lam, strict=True)
            ]
        ).sum(0)
