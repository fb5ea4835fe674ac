"""Tables and figures of prediction files."""
