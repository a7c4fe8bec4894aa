"""Files that crash whoever opens them, or keep it for ever: faults of decoders, planted outside."""

from __future__ import annotations

import signal
from pathlib import Path

# Python loads it in every process that finds it.
_FAULTS = """
import os, sys, time

def at_open(event, arguments):
    if event != "open" or not isinstance(arguments[0], str):
        return
    name, ending = os.path.splitext(os.path.basename(arguments[0]))
    if ending not in (".mp4", ".safetensors"):
        return
    if name.endswith("crash"):
        os.kill(os.getpid(), {crash})
    if name.endswith("hang"):
        time.sleep(3600)

worker = ("--multiprocessing-fork", "default_worker.py")
if not {workers_only} or any(word.endswith(worker) for word in sys.orig_argv):
    sys.addaudithook(at_open)
"""


def plant_faults(
    folder: Path, crash: signal.Signals = signal.SIGSEGV, *, workers_only: bool = False
) -> str:
    """What PYTHONPATH has to begin with, so that files do what their names end in.

    That is `crash` (by this signal) or `hang`, and they are videos or feature files. With
    `workers_only` they do it to worker processes and actors of Ray, and not to commands.
    """
    code = _FAULTS.format(crash=int(crash), workers_only=workers_only)
    (folder / "sitecustomize.py").write_text(code)
    return str(folder)
