"""AUC on degraded images."""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
