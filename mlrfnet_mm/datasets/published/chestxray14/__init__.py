"""ChestX-ray14: images, splits, boxes."""
