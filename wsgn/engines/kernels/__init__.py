"""Scores of whole videos on a GPU without torch and Triton: compiled kernels and their launcher."""
