"""Prediction from an exported network: needs neither torch nor OpenMMLab."""
