"""RSNA Pneumonia."""
