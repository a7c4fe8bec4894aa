"""The kernels for machines without torch."""
