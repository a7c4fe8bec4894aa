"""Published weights: known files, their check, and their conversion into one form."""
