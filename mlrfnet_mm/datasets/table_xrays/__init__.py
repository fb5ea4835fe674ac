"""X-rays and labels of one's own, in a table."""
