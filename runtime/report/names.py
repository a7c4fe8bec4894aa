"""What pages are called, apart from what makes them: every command knows these words."""

from __future__ import annotations

# What -f calls a page; also the ending of its file.
PAGE_FORMAT = "html"
# The index of a folder of pages.
INDEX_NAME = "index.html"
