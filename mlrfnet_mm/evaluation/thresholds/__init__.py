"""Thresholds chosen on validation, what they give, and their file."""
