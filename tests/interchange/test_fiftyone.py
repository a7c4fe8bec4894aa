"""The lines of docs/tools.md for FiftyOne, where that is installed (a gigabyte)."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from documents import blocks, read_page

from wsgn.runtime.demo import load_demo

# Its database is a program of its own, which may lack.
AROUND = """
import fiftyone as fo
from fiftyone.core.config import FiftyOneConfigError

class Collected:
    def __init__(self, name): pass
    def add_samples(self, samples): pass

try:
    fo.Dataset("probe").delete()
except FiftyOneConfigError:
    fo.Dataset = Collected
fo.launch_app = lambda dataset: None
exec(open("lines.py").read())
import json
found = [[d.label, *d.support, d.confidence] for s in samples for d in s.actions.detections]
print(json.dumps(found))
"""


def test_the_documented_lines_make_samples(tmp_path: Path) -> None:
    python = os.environ.get("WSGN_FIFTYONE_PYTHON")
    if not python and importlib.util.find_spec("fiftyone") is None:
        pytest.skip("fiftyone is not installed here, and WSGN_FIFTYONE_PYTHON names no other place")
    (lines,) = (one.text for one in blocks(read_page("docs/tools.md")) if one.kind == "python")
    (tmp_path / "lines.py").write_text(lines)
    for name in ("videos", "results"):
        (tmp_path / name).mkdir()
    shutil.copy(load_demo().video, tmp_path / "videos" / "demo.mp4")
    found = [{"label": "wave", "segment": [0.5, 1.5], "score": 0.75}]
    document = {
        "results": {"demo": found},
        "external_data": {"start_offset_seconds": {"demo": 0.5}},
    }
    (tmp_path / "results" / "detections.json").write_text(json.dumps(document))
    done = subprocess.run(
        [python or sys.executable, "-c", AROUND],
        cwd=tmp_path,
        env=os.environ | {"HOME": str(tmp_path), "FIFTYONE_DO_NOT_TRACK": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Frames from 1 at 15 a second.
    ((label, first, last, score),) = json.loads(done.stdout.splitlines()[-1])
    assert (label, score) == ("wave", 0.75)
    assert (first, last) == pytest.approx((16, 31), abs=1)
