"""What it costs to share a command's work among processes and machines, and what it gives."""
