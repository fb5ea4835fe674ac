"""Weights of ImageNet for the backbones of others."""
