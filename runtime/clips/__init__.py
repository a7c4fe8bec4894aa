"""Parts of videos as files of their own: made anew with exact ends, or copied; labels burnt in."""
