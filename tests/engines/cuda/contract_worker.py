"""Runs checks by name, in a process of its own whose libcuda.so.1 may be the stand-in.

usage: contract_worker.py BINDING stand-in|real

A line on stdin is the name of a check; the answer is one line of JSON, null or what went wrong.
"""

from __future__ import annotations

import json
import os
import sys
import traceback

# Functions are looked up late: pycuda links to more of them than the stand-in has.
sys.setdlopenflags(os.RTLD_LAZY)

import contract_checks  # noqa: E402
import contract_failures  # noqa: E402
import contract_lifetimes  # noqa: E402
from contract_machine import Machine  # noqa: E402

MODULES = (contract_checks, contract_lifetimes, contract_failures)


def answer(machine: Machine, name: str) -> str | None:
    """What went wrong in a check, or in what it left behind."""
    try:
        (check,) = {vars(module)[name] for module in MODULES if name in vars(module)}
        check(machine)
        machine.check_nothing_is_left()
    except BaseException:
        return traceback.format_exc()
    return None


def main() -> None:
    binding, driver = sys.argv[1:]
    machine = Machine(binding, has_stand_in=driver == "stand-in")
    for line in sys.stdin:
        print(json.dumps(answer(machine, line.strip())), flush=True)


if __name__ == "__main__":
    main()
