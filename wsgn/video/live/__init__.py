"""Sources that film now: cameras and streams that may go away and come back."""
