"""Several networks that see the same image, for heads that fuse them."""

from collections.abc import Sequence

from mmengine.model import BaseModule, ModuleList
from torch import Tensor

from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class ParallelBackbones(BaseModule):
    """The last map of each of several backbones.

    Args:
        branches: the backbones' configs.
        init_cfg: of the branches, one each in their order; None for random weights in all.

    Raises:
        ValueError: no branch, or another number of initialisations.
    """

    def __init__(
        self, branches: Sequence[dict], init_cfg: Sequence[dict | None] | None = None
    ) -> None:
        super().__init__()
        starts = [None] * len(branches) if init_cfg is None else list(init_cfg)
        if not branches or len(starts) != len(branches):
            raise ValueError(
                'ParallelBackbones needs branches, and one init_cfg for each or None, got '
                f'{len(branches)} branches and {len(starts)} in init_cfg'
            )
        self.branches = ModuleList(
            MODELS.build({**branch, 'init_cfg': start})
            for branch, start in zip(branches, starts, strict=True)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Map (N, 3, H, W) to the branches' maps, each (N, C_b, h_b, w_b)."""
        return tuple(branch(x)[-1] for branch in self.branches)
