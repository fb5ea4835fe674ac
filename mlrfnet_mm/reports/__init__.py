"""What is written about a model: scores, heat maps against boxes, predictions, runs, ablations."""
