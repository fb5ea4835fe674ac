"""Other sites, drift, and images that are worse than those of the test."""

import mlrfnet_mm.registry  # noqa: F401 - first: it says which stack is missing
