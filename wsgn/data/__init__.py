"""Labelled videos as tensors: annotations, pixels or features, packed batches."""
