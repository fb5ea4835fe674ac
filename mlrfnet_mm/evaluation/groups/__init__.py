"""Groups of patients, and two references for the same images."""
