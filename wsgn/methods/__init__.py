"""Weakly supervised methods on shared features: WSGN and, beside it, its baselines."""
