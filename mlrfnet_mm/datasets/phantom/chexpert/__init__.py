"""The phantom in CheXpert's layout: its folders and its two tables."""
