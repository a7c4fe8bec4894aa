"""Results to look at: a page for each video, and an index."""
