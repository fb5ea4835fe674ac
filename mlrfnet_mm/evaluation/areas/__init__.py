"""Areas under curves with their intervals and tests."""
