"""One page about a training and its tests."""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
