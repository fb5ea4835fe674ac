"""Other sites: a calibration moved to them, and what differs there."""
