"""What a clinical reader asks of prediction files."""
