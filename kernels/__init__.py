"""Fused kernels of the frame-selection operator; not written yet."""
