"""Feature files of many videos in few tar files, and an index that finds each by one read."""
