"""Backbones, and weights of ImageNet for the backbones of others."""
