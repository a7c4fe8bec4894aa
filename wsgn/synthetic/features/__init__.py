"""Features made on the timeline of real annotations; every strength in them is known."""
