"""Measurements, run from the checkout as `python -m benchmarks.NAME`; as files they do not run."""
