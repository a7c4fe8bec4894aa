"""TensorRT plans: their sidecar, and how they are loaded and run, without torch."""
