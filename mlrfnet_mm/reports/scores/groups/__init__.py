"""Tables of groups of patients, and of two references for the same images."""
