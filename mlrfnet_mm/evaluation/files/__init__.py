"""Prediction files, and what is written as a whole or not at all."""
