"""From a checkpoint to a bundle: a graph that runs without torch, and how it differs."""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
