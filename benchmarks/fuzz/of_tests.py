"""Writers of other people's formats that the tests have."""

from __future__ import annotations

import sys

from benchmarks.results import ROOT

sys.path += [str(ROOT / "tests" / folder) for folder in ("features", "weights")]

from bundle_writer import MAGIC, block, entry, field, varint
from layouts_on_disk import (
    WRITERS,
    object_array_bytes,
    python2_pickle,
    python3_pickle,
    random_features,
)

__all__ = [
    "MAGIC",
    "WRITERS",
    "block",
    "entry",
    "field",
    "object_array_bytes",
    "python2_pickle",
    "python3_pickle",
    "random_features",
    "varint",
]
