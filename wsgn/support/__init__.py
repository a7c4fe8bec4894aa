"""What every command needs: files, records, signals, how it ends."""
