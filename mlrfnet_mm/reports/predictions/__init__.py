"""What ``predict`` writes of image files."""
