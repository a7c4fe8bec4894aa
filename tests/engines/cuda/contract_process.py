"""The process that runs checks of the contract, and where pycuda comes from."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from peers import peers_with
from places import ROOT

HERE = Path(__file__).parent


class ContractProcess:
    """A process for one binding on one driver; started again after anything went wrong in it."""

    def __init__(self, binding: str, driver: str, environment: dict[str, str]) -> None:
        self._command = [sys.executable, str(HERE / "contract_worker.py"), binding, driver]
        self._environment = environment
        self._process: subprocess.Popen[str] | None = None

    def run(self, check: str) -> str | None:
        """None, or what went wrong."""
        if self._process is None:
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{check}\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        problem = json.loads(line) if line else "the process died"
        if problem is not None:
            self.close()
        assert problem is None or isinstance(problem, str)
        return problem

    def close(self) -> None:
        """End the process, which may hang in its last words."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def start_process(binding: str, driver: str, stand_in_folder: Path | None) -> ContractProcess:
    """For one of `BINDINGS` and "stand-in" or "real"; or a skip where the binding is missing."""
    environment = dict(os.environ)
    paths = [str(ROOT), str(HERE), *_extra_path(binding)]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    if stand_in_folder is not None:
        environment["LD_LIBRARY_PATH"] = str(stand_in_folder)
        environment["STAND_IN_DEVICES"] = "2"
    return ContractProcess(binding, driver, environment)


def _extra_path(binding: str) -> list[str]:
    if binding == "cuda-bindings":
        pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    if binding == "cuda-bindings" or importlib.util.find_spec("pycuda") is not None:
        return []
    return [str(peers_with("pycuda"))]
