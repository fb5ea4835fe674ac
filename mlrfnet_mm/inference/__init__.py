"""From a checkpoint and image files to probabilities, decisions and heat maps."""
