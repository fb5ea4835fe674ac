"""ChestX-Det."""
