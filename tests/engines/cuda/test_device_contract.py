"""Both bindings keep the contract of `Device`: the real packages, on a stand-in for the driver.

Where there is a GPU, the checks that need no stand-in are run on it as well.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import contract_checks
import contract_failures
import contract_lifetimes
import pytest
from contract_process import ContractProcess, start_process

from wsgn.engines.cuda.driver import probe_driver
from wsgn.engines.cuda.open import BINDINGS
from wsgn.errors import EngineError


def checks(module: object) -> list[str]:
    """The names of the checks that a module defines."""
    functions = inspect.getmembers(module, inspect.isfunction)
    return [
        name
        for name, function in functions
        if inspect.getmodule(function) is module and not name.startswith("_")
    ]


EVERYWHERE = checks(contract_checks) + checks(contract_lifetimes)
FAILURES = checks(contract_failures)
PLANTED = {
    "planted_forgotten_close": "'contexts': 1",
    "planted_context_left_on_the_stack": "(1, ",
    "planted_missing_wait": "Arrays are not equal",
    "planted_address_read_on_the_host": "the process died",
    "planted_refusal_that_does_not_come": "not refused",
}


@pytest.fixture(scope="module", params=BINDINGS)
def on_stand_in(request: pytest.FixtureRequest) -> Iterator[ContractProcess]:
    folder = request.getfixturevalue("stand_in_folder")
    process = start_process(request.param, "stand-in", folder)
    yield process
    process.close()


@pytest.fixture(scope="module", params=BINDINGS)
def on_gpu(request: pytest.FixtureRequest) -> Iterator[ContractProcess]:
    try:
        probe_driver()
    except EngineError as error:
        pytest.skip(str(error))
    process = start_process(request.param, "real", None)
    yield process
    process.close()


@pytest.mark.parametrize("check", EVERYWHERE)
def test_a_binding_keeps_the_contract(on_stand_in: ContractProcess, check: str) -> None:
    assert on_stand_in.run(check) is None


@pytest.mark.parametrize("check", sorted(set(FAILURES) - set(PLANTED)))
def test_a_binding_keeps_the_contract_when_something_fails(
    on_stand_in: ContractProcess, check: str
) -> None:
    assert on_stand_in.run(check) is None


@pytest.mark.parametrize("on_stand_in", ["cuda-bindings"], indirect=True)
@pytest.mark.parametrize("check", sorted(PLANTED))
def test_a_planted_fault_is_found(on_stand_in: ContractProcess, check: str) -> None:
    problem = on_stand_in.run(check)
    assert problem is not None
    assert re.search(re.escape(PLANTED[check]), problem), problem


def test_the_contract_is_kept_on_a_gpu(on_gpu: ContractProcess) -> None:
    problems = {check: on_gpu.run(check) for check in EVERYWHERE}
    assert [check for check, problem in problems.items() if problem is not None] == []
