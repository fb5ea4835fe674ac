"""Formats of image files."""
