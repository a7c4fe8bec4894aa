"""What a run over many videos or cameras will take, and how its scheduling bears failures."""
