"""The fused operator beside plain PyTorch and the floor: `python -m benchmarks.kernels`."""
