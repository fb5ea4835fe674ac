"""Ten-crop testing: the scores of an image are the mean over its ten crops, or two."""

import torch
import torch.nn.functional as F
from mmpretrain.models import ImageClassifier
from mmpretrain.structures import DataSample
from torch import Tensor

from mlrfnet_mm.registry import MODELS


@MODELS.register_module()
class TenCropClassifier(ImageClassifier):
    """mmpretrain's ImageClassifier that predicts from several crops of each image.

    Same parameters and checkpoints. ``predict`` takes (N, crops, C, H, W), from
    ``XrayGeometry(crop='ten')``, or ``crop='two'`` for the image and its mirror image, and
    :class:`mlrfnet_mm.XrayDataPreprocessor`, and averages the heads' scores (after the sigmoid), as
    CheXNet reimplementations do: one crop with a logit far out then counts no more than any other.
    The crops pass one after the other, so that a batch needs no more memory than without them.
    Losses and the like take single crops only.
    """

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None
    ) -> list[DataSample]:
        """Set ``pred_score`` (K,) and ``pred_label`` of the samples.

        Raises:
            ValueError: inputs of another shape than (N, crops, C, H, W).
        """
        if inputs.ndim != 5:
            raise ValueError(
                f'TenCropClassifier predicts from (N, crops, C, H, W), got {tuple(inputs.shape)}; '
                "set crop='ten' (or 'two') in the test pipeline's XrayGeometry"
            )
        logits = torch.stack([self.head(self.extract_feat(crop)) for crop in inputs.unbind(1)])
        return self.head._get_predictions(logit_of_mean(logits.float()), data_samples)


def logit_of_mean(logits: Tensor) -> Tensor:
    """Logit of the mean probability over the first dimension.

    From both tails, ``log Σ σ(z) - log Σ σ(-z)``: exact in float32 where a mean near 1 would have
    few bits left, and no float64, which Apple's GPUs lack.
    """
    return F.logsigmoid(logits).logsumexp(0) - F.logsigmoid(-logits).logsumexp(0)
