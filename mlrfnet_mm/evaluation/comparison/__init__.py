"""Two models on the same images: calls, margins, several seeds, what can be shown at all."""
