"""Files that crash whoever opens them, or keep it for ever: faults of decoders, planted outside."""

from __future__ import annotations

from pathlib import Path

# Python loads it in every process that finds it.
_FAULTS = """
import os, signal, sys, time

def at_open(event, arguments):
    if event != "open" or not isinstance(arguments[0], str):
        return
    name, ending = os.path.splitext(os.path.basename(arguments[0]))
    if ending not in (".mp4", ".safetensors"):
        return
    if name.endswith("crash"):
        os.kill(os.getpid(), signal.SIGSEGV)
    if name.endswith("hang"):
        time.sleep(3600)

sys.addaudithook(at_open)
"""


def plant_faults(folder: Path) -> str:
    """What PYTHONPATH has to begin with, so that files do what their names end in.

    That is `crash` or `hang`, and they are videos or feature files.
    """
    (folder / "sitecustomize.py").write_text(_FAULTS)
    return str(folder)
