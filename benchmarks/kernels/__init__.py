"""The fused operator beside plain PyTorch and the roofline: `python -m benchmarks.kernels`."""
