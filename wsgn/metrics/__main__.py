"""`python -m wsgn.metrics` is `wsgn-eval`."""

import sys

from wsgn.metrics.cli import main

if __name__ == "__main__":
    sys.exit(main())
