"""Results as files of the tools that people watch and correct videos with, and back."""
