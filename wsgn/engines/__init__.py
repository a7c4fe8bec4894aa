"""Engine files, and what runs them; no PyTorch."""
