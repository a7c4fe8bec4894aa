"""Hostile and damaged input of every kind, one process for each case, and verdicts."""
