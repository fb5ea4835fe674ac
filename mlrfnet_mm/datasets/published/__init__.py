"""The published data sets: a folder each, its files read in ``tables.py``."""
