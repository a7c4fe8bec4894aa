"""Feature files, the layouts that others write, and datasets of them."""
