"""What a process leaves that is killed while it writes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

_BEGIN = """
import os, signal, sys
from pathlib import Path
from wsgn.support.files import AtomicFile, unfinished_folder
path = Path(sys.argv[1])
"""
_FILE = "AtomicFile(path).open().write(b'half')\n"
_FOLDER = """
folder = unfinished_folder(path)
(folder.__enter__() / path.name).write_bytes(b"half")
"""
_END = "os.kill(os.getpid(), signal.SIGKILL)"


def left_by_a_killed_run(path: Path, *, folder: bool = False) -> Path:
    """Let a process be killed in the middle of writing a file, or a folder for it; what it left."""
    before = set(path.parent.iterdir())
    program = _BEGIN + (_FOLDER if folder else _FILE) + _END
    done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    (left,) = set(path.parent.iterdir()) - before
    return left
