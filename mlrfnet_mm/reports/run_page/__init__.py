"""One page about a training and its tests."""
