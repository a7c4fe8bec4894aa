"""Files at addresses such as s3://bucket/a.mp4: read in place, copied to this disk, written."""
