"""What other commands left in the folder of a run, by subject."""
