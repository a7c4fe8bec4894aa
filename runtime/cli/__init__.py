"""`wsgn-run`: words to options, options to runs."""
