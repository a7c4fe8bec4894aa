"""`wsgn-run manifest` of a plan."""

from __future__ import annotations

import json
from pathlib import Path

import made_plans
import pytest

from wsgn.runtime.cli.main import main


def test_a_plan_shows_the_manifest_of_its_sidecar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = made_plans.write_plan(tmp_path / "wsgn.plan")
    assert main(["manifest", str(path)]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown == json.loads(made_plans.feature_manifest().to_json())


@pytest.mark.parametrize("suffix", [".plan", ".ENGINE"])
def test_a_truncated_plan_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], suffix: str
) -> None:
    path = made_plans.write_plan(tmp_path / f"wsgn{suffix}")
    path.write_bytes(path.read_bytes()[:-1])
    assert main(["manifest", str(path)]) == 5
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert "is truncated, damaged or not the one of its sidecar" in said.err
