"""Backbones of our own, and weights for those of others."""
