"""Ten-crop testing: one score from ten views of an image."""

import torch
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class TenCropClassifier(ImageClassifier):
    """mmpretrain's ImageClassifier that averages the scores (sigmoids) of an image's crops.

    For tests (``tools/test.py --ten-crop``) of multi-label models with one tensor of logits. The
    images come as (N, crops, C, H, W), from ``XrayGeometry(crop='ten')``.
    """

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Predict, with ``pred_score`` the mean over the crops.

        Raises:
            ValueError: images without a dimension of crops.
        """
        if inputs.dim() != 5:
            raise ValueError(
                f'TenCropClassifier takes (N, crops, C, H, W), got {tuple(inputs.shape)}; set '
                "crop='ten' in the XrayGeometry of the test pipeline"
            )
        images, crops = inputs.shape[:2]
        logits = self.head(self.extract_feat(inputs.flatten(0, 1)))
        scores = logits.sigmoid().unflatten(0, (images, crops)).mean(1)  # (N, K)
        return self.head._get_predictions(torch.logit(scores), data_samples)
