"""The image files: looked at once each, compared, and judged by themselves."""
