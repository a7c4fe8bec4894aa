"""Kills find what commands do wrong that were planted, and nothing where nothing is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import run_python

# A command in a module of its own, and what was found in 40 kills of it.
PROGRAM = """
import json, random, sys, types
from pathlib import Path
from benchmarks.killed_commands import Command
from benchmarks.kills import Killer
from wsgn.support.files import write_whole_file

def whole(path, text):
    write_whole_file(path, text.encode(), what="it")

def torn(path, text):
    for half in (text[:1], text[1:]):
        with path.open("a") as file:
            file.write(half)

def good(folder):
    for name in "abc":
        whole(folder / name, name * 3)

def in_place(folder):
    for name in "abc":
        (folder / name).unlink(missing_ok=True)
        torn(folder / name, name * 3)

def left_over(folder):
    whole(folder / f"{len(list(folder.iterdir()))}.part", "half")
    good(folder)

def other_the_second_time(folder):
    again = (folder / "a").exists()
    good(folder)
    whole(folder / "d", "other" if again else "d")

def skips_what_is_there(folder):
    for name in "abc":
        if not (folder / name).exists():
            whole(folder / name, "half")
            whole(folder / name, name * 3)

def num_done(path):
    return int(path.read_text()) if path.exists() else 0

def loses_its_log(folder):
    kept = num_done(folder / "last.safetensors")
    with (folder / "log").open("w") as file:
        file.write("step,seconds\\n")
        for step in range(kept, 9):
            file.write(f"{step},0\\n")
            file.flush()
            if step % 3 == 2:
                whole(folder / "last.safetensors", str(step + 1))

def keeps_its_log(folder):
    kept = num_done(folder / "last.safetensors")
    old = (folder / "log").read_text().splitlines()[: kept + 1] if kept else ["step,seconds"]
    whole(folder / "log", "".join(f"{line}\\n" for line in old))
    with (folder / "log").open("a") as file:
        for step in range(kept, 9):
            file.write(f"{step},0\\n")
            file.flush()
            if step % 3 == 2:
                whole(folder / "last.safetensors", str(step + 1))

def fails(folder):
    good(folder)
    return 3

work = globals()[sys.argv[1]]
module = types.ModuleType("planted_command")
module.main = lambda words: work(Path(words[0])) or 0
sys.modules["planted_command"] = module
command = Command(
    name="planted", module="planted_command", make=lambda folder: None,
    words=lambda inputs, output: [str(output)], log="log" if "log" in sys.argv[1] else None,
)
tally = Killer(command, Path(sys.argv[2]), random.Random(0)).kill(40)
print(json.dumps([tally.kills, tally.complaints]))
"""


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("good", ""),
        ("keeps_its_log", ""),
        ("in_place", "is none that the undisturbed run wrote"),
        ("skips_what_is_there", "differs at the end"),
        ("left_over", "left over"),
        ("other_the_second_time", "d differs at the end"),
        ("loses_its_log", "log has"),
        ("fails", "ended with status"),
    ],
)
def test_what_was_planted_is_found(tmp_path: Path, planted: str, said: str) -> None:
    done = run_python("-c", PROGRAM, planted, tmp_path)
    assert done.returncode == 0, done.stderr
    kills, complaints = json.loads(done.stdout)
    if not said:
        assert (kills, complaints) == (40, [])
    assert any(said in complaint for complaint in complaints) == bool(said)
