"""Networks from the frames of a snippet to its features."""
