"""Heat maps against boxes."""
