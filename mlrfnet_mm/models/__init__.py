"""MLRFNet from image to logits (Li et al., IEEE Access 2023, Fig. 2), shapes at 224 x 224.

::

    image (N, 1, 224, 224) uint8
      │  mlrfnet_mm.XrayDataPreprocessor
    (N, 3, 224, 224) normalized
      │  mmpretrain.Res2Net-50, 26w x 4s, out_indices (1, 2, 3)
      ├─ U2 (N,  512, 28, 28) ─ ECA ─ 1x1 conv ─ (N, K, 784) ─ mean + 0.5 · softmax(99 μ)·μ ─ P1 ┐
      ├─ U3 (N, 1024, 14, 14) ─ ECA ─ 1x1 conv ─ (N, K, 196) ─ mean + 0.3 · softmax(99 μ)·μ ─ P2 ┤
      └─ U4 (N, 2048,  7,  7) ─ ECA ─ 1x1 conv ─ (N, K,  49) ─ mean + 0.1 · softmax(99 μ)·μ ─ P3 ┤
                 mlrfnet_mm.ECANeck          mlrfnet_mm.MRFCHead               logits (N, K) = Σ ┘
                                                             loss: mlrfnet_mm.BiasedFocalLoss
"""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
from mlrfnet_mm.models.backbones.global_local import GlobalLocalBackbone
from mlrfnet_mm.models.backbones.parallel_backbones import ParallelBackbones
from mlrfnet_mm.models.backbones.pyconv_resnet import PyConvResNet
from mlrfnet_mm.models.backbones.timm_features import TimmFeatures
from mlrfnet_mm.models.backbones.truncated_densenet import TruncatedDenseNet
from mlrfnet_mm.models.backbones.weights.lite_pretrained import LitePretrained
from mlrfnet_mm.models.backbones.weights.timm_pretrained import TimmPretrained
from mlrfnet_mm.models.backbones.weights.xray_pretrained import XrayPretrained
from mlrfnet_mm.models.channels import build_model, fill_in_channels
from mlrfnet_mm.models.classifiers import DistillingClassifier, TenCropClassifier
from mlrfnet_mm.models.data_preprocessor import XrayDataPreprocessor
from mlrfnet_mm.models.heads import (
    BatchGraphHead,
    BottleneckHead,
    FindingGraphHead,
    FusionHead,
    LabelCoupling,
    LabelGraphHead,
    LabelQueryHead,
    LabelSequenceHead,
    MRFCHead,
    PixelAttentionHead,
    ScoreMapHead,
    TreeLogits,
)
from mlrfnet_mm.models.losses import (
    BalancedBCELoss,
    BiasedFocalLoss,
    DistributionBalancedLoss,
    LDAMLoss,
    MaskedLoss,
    MultiLabelDistillationLoss,
)
from mlrfnet_mm.models.necks import (
    ECANeck,
    LSEPooling,
    SelectIntegrateNeck,
    SENeck,
    TransitionNeck,
    TripleAttentionNeck,
)

__all__ = [
    'BalancedBCELoss',
    'BatchGraphHead',
    'BiasedFocalLoss',
    'BottleneckHead',
    'DistillingClassifier',
    'DistributionBalancedLoss',
    'ECANeck',
    'FindingGraphHead',
    'FusionHead',
    'GlobalLocalBackbone',
    'LDAMLoss',
    'LSEPooling',
    'LabelCoupling',
    'LabelGraphHead',
    'LabelQueryHead',
    'LabelSequenceHead',
    'LitePretrained',
    'MRFCHead',
    'MaskedLoss',
    'MultiLabelDistillationLoss',
    'ParallelBackbones',
    'PixelAttentionHead',
    'PyConvResNet',
    'SENeck',
    'ScoreMapHead',
    'SelectIntegrateNeck',
    'TenCropClassifier',
    'TimmFeatures',
    'TimmPretrained',
    'TransitionNeck',
    'TreeLogits',
    'TripleAttentionNeck',
    'TruncatedDenseNet',
    'XrayDataPreprocessor',
    'XrayPretrained',
    'build_model',
    'fill_in_channels',
]
