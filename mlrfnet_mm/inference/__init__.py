"""From a checkpoint and image files to probabilities, decisions and heat maps."""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
