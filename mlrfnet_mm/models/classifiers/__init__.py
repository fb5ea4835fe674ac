"""Classifiers: mmpretrain's ImageClassifier that tests or trains in another way."""

from mlrfnet_mm.models.classifiers.distilling import DistillingClassifier
from mlrfnet_mm.models.classifiers.ten_crop import TenCropClassifier

__all__ = ['DistillingClassifier', 'TenCropClassifier']
