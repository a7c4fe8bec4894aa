"""`wsgn-train`: batches, losses, checkpoints."""
