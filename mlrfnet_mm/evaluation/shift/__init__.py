"""Data of another site: how often findings are there, and what differs."""
