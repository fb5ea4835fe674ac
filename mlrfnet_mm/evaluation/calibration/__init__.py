"""From scores to probabilities, and how far they are right."""
