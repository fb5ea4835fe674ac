"""The worst errors of each finding, one page each."""
