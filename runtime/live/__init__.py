"""Live sources side by side on one engine."""
