"""The prepared store: written once, read in training."""
