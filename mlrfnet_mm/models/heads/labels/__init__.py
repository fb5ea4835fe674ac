"""Heads that let the labels know of each other."""
