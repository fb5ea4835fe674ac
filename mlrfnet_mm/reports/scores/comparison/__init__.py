"""Tables that compare models on the same images, and what such a comparison can show."""
