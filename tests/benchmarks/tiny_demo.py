"""What `tools/make_demo.sh` makes with a tiny budget; other scripts run on it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from places import ROOT


@dataclass(frozen=True, kw_only=True)
class TinyDemo:
    """Few small videos, three updates of a model on them, its engine, and one more video."""

    folder: Path

    @property
    def dataset(self) -> Path:
        """Of two training videos and a test video."""
        return self.folder / "work" / "synthetic"

    @property
    def checkpoint(self) -> Path:
        """Trained on them."""
        return self.folder / "work" / "run" / "model.safetensors"

    @property
    def engine(self) -> Path:
        """The checkpoint's."""
        return self.folder / "demo" / "demo.onnx"

    @property
    def video(self) -> Path:
        """Sixteen seconds."""
        return self.folder / "demo" / "demo.mp4"

    @property
    def events(self) -> Path:
        """What the script printed."""
        return self.folder / "events.txt"


def make_tiny_demo(shared: Path) -> TinyDemo:
    """Make it in a folder that several processes share; whoever comes first does."""
    demo = TinyDemo(folder=shared / "tiny_demo")
    with (shared / "tiny_demo.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not demo.events.exists():
            demo.folder.mkdir()
            demo.events.write_text(_run_script(demo.folder))
    return demo


def _run_script(folder: Path) -> str:
    done = subprocess.run(
        [str(ROOT / "tools" / "make_demo.sh"), str(folder / "work")],
        env=os.environ
        | {"PYTHON": sys.executable, "DEMO": str(folder / "demo"), "TINY": "1"}
        | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
