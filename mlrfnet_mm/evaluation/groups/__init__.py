"""How good a model is in each group of patients or images, and whether the groups differ."""
