"""AUC on degraded images."""
