"""An engine in a forked process refuses in a sentence, and neither hangs nor crashes at the end."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from commands import run_python

from wsgn.engines.open import open_engine
from wsgn.errors import EngineError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")

# Ends a child that hangs, from outside: no verdict depends on how fast a machine is.
START = """
import gc, multiprocessing, os, signal, sys
import numpy as np
from wsgn.engines.open import open_engine
from wsgn.errors import EngineError
engine = open_engine(sys.argv[1], num_threads=int(sys.argv[2]))
frames = np.zeros((4, 8, 16, 16, 3), dtype=np.uint8)
expected = engine.infer(frames).class_probabilities

def refused(call):
    try:
        call()
    except EngineError as error:
        assert "open it in the child" in str(error), error
        return True

def child(work):
    pid = os.fork()
    if pid == 0:
        signal.alarm(120)
        work()
        # As a program ends, with every destructor.
        sys.exit(0)
    assert os.waitpid(pid, 0)[1] == 0
"""
ENDINGS = {
    "infer": "lambda: sys.exit(not refused(lambda: engine.infer(frames)))",
    "submit": "lambda: sys.exit(not refused(lambda: engine.submit(frames)))",
    "nothing": "lambda: None",
    "close": "lambda: (engine.close(), engine.close(), gc.collect())",
    "with": "lambda: engine.__exit__(None, None, None)",
    "del": "lambda: (globals().pop('engine'), gc.collect())",
    "a daemon of a daemon": "lambda: child("
    "lambda: sys.exit(not refused(lambda: engine.infer(frames))))",
    "own engine": "lambda: np.testing.assert_array_equal("
    "open_engine(sys.argv[1], num_threads=2).infer(frames).class_probabilities, expected)",
}


@pytest.mark.parametrize("num_threads", [1, 2, 4])
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_forked_child_ends(engine_path: Path, num_threads: int, ending: str) -> None:
    code = f"{START}\nchild({ENDINGS[ending]})\n"
    code += "assert (engine.infer(frames).class_probabilities == expected).all()\nengine.close()"
    done = run_python("-W", "ignore", "-c", code, engine_path, num_threads)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("num_threads", [2, 4])
def test_a_closed_engine_is_nothing_in_a_child(engine_path: Path, num_threads: int) -> None:
    code = f"{START}\nengine.close()\nchild(lambda: (engine.close(), gc.collect()))"
    done = run_python("-W", "ignore", "-c", code, engine_path, num_threads)
    assert (done.returncode, done.stderr) == (0, "")


def test_processes_of_multiprocessing_refuse_or_open_their_own(engine_path: Path) -> None:
    code = f"""{START}
def work(path):
    own = open_engine(path)
    return refused(lambda: engine.infer(frames)), own.infer(frames).class_probabilities

with multiprocessing.get_context("fork").Pool(2) as pool:
    for is_refused, found in pool.map(work, [sys.argv[1]] * 4):
        assert is_refused and (found == expected).all()
process = multiprocessing.get_context("fork").Process(target=lambda: engine.close())
process.start()
process.join()
assert process.exitcode == 0
"""
    done = run_python("-W", "ignore", "-c", code, engine_path, 4)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_engine_is_not_sent_to_another_process(engine_path: Path) -> None:
    with open_engine(engine_path, num_threads=1) as engine:
        for travel in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(EngineError, match="open it there"):
                travel(engine)
        process = multiprocessing.get_context("spawn").Process(target=print, args=(engine,))
        with pytest.raises(EngineError, match="open it there"):
            process.start()
        assert engine.infer(np.zeros((1, 8, 16, 16, 3), dtype=np.uint8)) is not None
