"""From frame scores to segments; NumPy only."""
