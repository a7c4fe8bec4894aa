"""Scores and segments of a stream while it comes, snippet by snippet: no threads, clocks or I/O."""
