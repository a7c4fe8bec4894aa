"""Measurements, run from the checkout: `python -m benchmarks.NAME`."""
