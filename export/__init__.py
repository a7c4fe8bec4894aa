"""Trained models to engine files."""
