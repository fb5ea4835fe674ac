"""Other sites, drift, and images that are worse than those of the test."""
