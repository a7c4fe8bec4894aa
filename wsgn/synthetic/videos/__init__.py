"""Synthetic videos: rendered figures whose actions, and the times of them, are known exactly."""
