"""An X-ray from a file to pixels and back: needs numpy and OpenCV alone."""
