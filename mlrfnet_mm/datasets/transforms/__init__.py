"""Transforms that mmpretrain lacks: grey images from file to device."""
