"""The frame selection: the operator, its reference and its backward pass."""
