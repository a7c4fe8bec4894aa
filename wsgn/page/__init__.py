"""What every HTML page of the project shares: one file each, which fetches nothing."""
