"""Labels of another data set's classes than the model's, for ``mlrfnet test --on``."""

import torch
from mmpretrain.datasets import PackInputs

from mlrfnet_mm.registry import TRANSFORMS

OTHER = 'other_score'


@TRANSFORMS.register_module()
class PackOtherLabels(PackInputs):
    """mmpretrain's ``PackInputs``, with ``gt_score`` (K',) packed as ``other_score``.

    mmpretrain's ``DataSample`` wants as many labels as the model has scores.
    """

    def transform(self, results: dict) -> dict:
        """Pack."""
        rest = {key: value for key, value in results.items() if key != 'gt_score'}
        packed: dict = super().transform(rest)
        packed['data_samples'].set_field(torch.as_tensor(results['gt_score']), OTHER)
        return packed
