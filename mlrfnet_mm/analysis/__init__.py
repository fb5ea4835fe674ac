"""Reads predictions, logs and checkpoints; training never imports it."""
