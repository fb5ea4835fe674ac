"""Log-sum-exp pooling of features, between mean and maximum.

Wang et al., CVPR 2017, https://arxiv.org/abs/1705.02315, with r = 10; Ye et al.,
2020, https://arxiv.org/abs/2005.14480, name it for comparison, with 0.5.
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mlrfnet_mm.models.heads.pools import lse_pool, max_pool
from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class LSEPooling(BaseModule):
    """Pool every level's maps into vectors, as ``mmpretrain.GlobalAveragePooling`` does by means.

    Args:
        r: sharpness: towards 0 the mean, towards infinity the maximum; ``None`` is the maximum.
        init_cfg: mmengine's initialisation config; there are no parameters.

    Raises:
        ValueError: ``r`` not above 0; at run time, a level that is not a map.
    """

    def __init__(self, r: float | None = 10.0, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg=init_cfg)
        if r is not None and not r > 0:
            raise ValueError(f'LSEPooling: r must be positive or None (maximum), got {r}')
        self.r = r

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Map a tuple of (N, C_l, H_l, W_l) to vectors (N, C_l), half precision to single."""
        pooled = []
        for level, x in enumerate(feats):
            if x.ndim != 4:
                raise ValueError(
                    f'LSEPooling expects maps (N, C, H, W), level {level} is {tuple(x.shape)}: '
                    'switch the final pooling of the backbone off'
                )
            flat = x.flatten(2)  # (N, C, H*W)
            if flat.dtype in (torch.half, torch.bfloat16):
                flat = flat.float()
            pooled.append(max_pool(flat) if self.r is None else lse_pool(flat, self.r))
        return tuple(pooled)
