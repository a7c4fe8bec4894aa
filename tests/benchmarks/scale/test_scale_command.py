"""`python -m benchmarks.scale`: what it prints, and what it refuses in one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from places import ROOT

from benchmarks.measuring import Usage
from benchmarks.scale import runs, validate
from benchmarks.scale.cli import main
from benchmarks.scale.constants import KINDS, MEASURED, read_constants
from benchmarks.scale.machines import EXAMPLE

MACHINES = """
[[machine]]
name = "large"
cores = 10
price_per_hour = 5.0
"""


def predicted(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, object]:
    given = ["predict", "--json", "--draws", 3, *words]
    assert main([str(word) for word in given]) == 0
    document: dict[str, object] = json.loads(capsys.readouterr().out)
    return document


def only_row(document: Mapping[str, object]) -> dict[str, object]:
    rows = document["rows"]
    assert isinstance(rows, list)
    (row,) = rows
    return dict(row)


def median(row: Mapping[str, object], name: str) -> float:
    spread = row[name]
    assert isinstance(spread, dict)
    assert spread["low"] <= spread["median"] <= spread["high"]
    return float(spread["median"])


@pytest.fixture
def machines(tmp_path: Path) -> Path:
    path = tmp_path / "machines.toml"
    path.write_text(MACHINES)
    return path


def test_the_constants_in_the_checkout_are_all_that_can_be_measured() -> None:
    constants = read_constants(MEASURED)
    assert constants.constants.keys() >= KINDS.keys()
    assert all(one.low <= one.median <= one.high for one in constants.constants.values())
    assert all(one.unit == KINDS[name][0] for name, one in constants.constants.items())


def test_more_workers_are_quicker_and_not_cheaper(
    machines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--machines", machines, "--videos", 2000, "--mean-seconds", 60)
    few, many = (
        only_row(predicted(capsys, *common, "--workers", workers, "--crash", 0, "--hang", 0))
        for workers in (10, 100)
    )
    assert (few["machines"], many["machines"]) == (1, 10)
    assert 5 < median(few, "hours") / median(many, "hours") < 10
    assert median(many, "machine_hours") > median(few, "machine_hours")
    assert median(few, "price") == pytest.approx(5 * median(few, "machine_hours"))
    assert median(many, "failed_videos") == 0


def test_every_assumption_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["predict", "--videos", "500", "--draws", "2", "--workers", "2", "--mean-seconds", "9"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.count("| 9 s ") == 2
    for assumed in (
        "Constants: ", "640 x 360 at 25 frames", "a core of its own", "not measured on more than 2",
        "come from a store", "2 an hour as you have put it", "fails 0.01 times an hour",
        "log-normal", "--stall-limit 600", "--resume",
    ):  # fmt: skip
        assert assumed in said


def test_an_engine_of_the_users_own_is_what_it_takes(
    machines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--machines", machines, "--videos", 100, "--workers", 1, "--spread", 0)
    words = ("--mean-seconds", 100, "--snippets-per-second", 2, "--crash", 0, "--hang", 0)
    slow, quick = (
        median(only_row(predicted(capsys, *common, *words, "--engine-ms", ms)), "hours")
        for ms in (600, 100)
    )
    # 100 videos of 100 s with 2 snippets a second, each 0.5 s longer.
    assert slow - quick == pytest.approx(100 * 100 * 2 * 0.5 / 3600)


def test_lengths_are_drawn_from_real_ones(
    tmp_path: Path, machines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"database": {"a": {"duration": 30}, "b": {"duration": 90.0}}}))
    document = predicted(
        capsys, "--machines", machines, "--videos", 50, "--workers", 1, "--lengths", path
    )
    assert only_row(document)["mean_seconds"] == 60
    path.write_text('{"database": {"a": {}}}')
    assert main(["predict", "--lengths", str(path)]) == 3
    assert "holds no durations" in capsys.readouterr().err


def test_cameras_fill_machines(machines: Path, capsys: pytest.CaptureFixture[str]) -> None:
    row = only_row(predicted(capsys, "--machines", machines, "--cameras", 1000))
    wanted = 1000 * median(row, "core_percent") / 100 / (10 * 0.7)
    assert median(row, "machines") == pytest.approx(wanted, rel=0.1, abs=1)
    assert median(row, "price_per_hour") == 5 * median(row, "machines")


def test_ray_loses_what_a_machine_was_at(
    machines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    machines.write_text(f"{MACHINES}failures_per_hour = 20.0\n")
    words = ("--machines", machines, "--videos", 1000, "--workers", 100, "--mean-seconds", 100)
    given = ("--ray-start", 20, "--ray-video", 0.05, "--crash", 0, "--hang", 0)
    queue, shards = (
        only_row(predicted(capsys, *words, *given, "--forms", form)) for form in ("ray", "workers")
    )
    assert median(queue, "failed_videos") > 0 == median(shards, "failed_videos")
    assert median(shards, "again_share") > 0 == median(queue, "again_share")


def test_features_take_less_than_their_videos(
    machines: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--machines", machines, "--videos", 100, "--workers", 1, "--mean-seconds", 100)
    videos, features = (
        median(only_row(predicted(capsys, *words, *more)), "hours")
        for more in ((), ("--on-features",))
    )
    assert features < videos


def test_a_simulation_says_what_became_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "--workers", "40", "--jobs", "400", "--cores", "8", "--crash", "0.05",
             "--hang", "0.05", "--node-failures", "5"]  # fmt: skip
    assert main(words) == 0
    said = capsys.readouterr().out
    assert "none is lost, none done twice" in said
    assert "| 5 shards, 8 workers each, machines fail " in said


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["predict", "--constants", "none.json"], 3, "none.json"),
        (["predict", "--machines", "none.toml"], 3, "none.toml"),
        (["predict", "--forms", "moons"], 2, "'moons' is no form"),
        (["predict", "--forms", "ray", "--ray-start", "9"], 2, "--ray-video, which were not"),
        (["predict", "--constants", "{few}"], 2, "a run over videos was not measured"),
        (["predict", "--size", "large"], 2, "must be like 640x360"),
        (["predict", "--workers", "0"], 2, "--workers must be above 0"),
        (["predict", "--crash", "nan"], 2, "--crash must be a number"),
        (["predict", "--crash", "0.8", "--hang", "0.3"], 2, "together at most 1"),
        (["predict", "--machines", "{gpu}"], 2, "has a GPU (H9), and none was measured"),
        (["predict", "--machines", "{typo}"], 2, "core"),
        (["predict", "--machines", "{slow}", "--cameras", "9"], 2, "too small for one camera"),
        (["validate", "--films", "none"], 3, "is no folder"),
        (["measure", "--videos", "1", "-o", "x"], 2, "at least 2"),
        (["simulate", "--workers", "200000"], 2, "100,000 at most"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, sentence: str
) -> None:
    files = {name: tmp_path / f"{name}.toml" for name in ("gpu", "typo", "slow")}
    files["gpu"].write_text(f'{MACHINES}gpu = "H9"\n')
    files["typo"].write_text(MACHINES.replace("cores", "core"))
    files["slow"].write_text(f"{MACHINES}speed = 0.001\n")
    document = json.loads(MEASURED.read_text())
    del document["constants"]["parent_video"]
    files["few"] = tmp_path / "few.json"
    files["few"].write_text(json.dumps(document))
    assert main([word.format(**files) for word in words]) == code
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert sentence in said


def test_a_validation_divides_what_was_predicted_by_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run is said to take a second, and the machine to be half as fast as it was."""
    usage = Usage(seconds=2.0, processor_seconds=1.0, peak_megabytes=0.0)
    monkeypatch.setattr(runs, "_cost", lambda told, words: runs.Cost(usage=usage, own_seconds=0.5))
    monkeypatch.setattr(validate, "_of_features", lambda folder, constants: [])
    constants = read_constants(MEASURED)
    slowness = constants.constants["reference"].median
    monkeypatch.setattr(validate, "reference_seconds", lambda: 2 * slowness)
    films = ROOT / "runtime" / "demo"
    verdicts = validate.validate(tmp_path, constants, 2, films, lambda words: None)
    assert [verdict.measured_seconds for verdict in verdicts] == [[1, 1]] * 4 + [[3, 3], [1, 1]]
    for verdict in verdicts:
        one_run = verdict.measured_seconds[0]
        assert verdict.ratio == pytest.approx(verdict.predicted_seconds / one_run)
        assert verdict.ratio_by_reference == pytest.approx(2 * verdict.ratio)
        assert verdict.wall_seconds == [2 * one_run, 2 * one_run]
    assert verdicts[-1].run.startswith("1 films, 30 s")
    assert verdicts[-1].predicted_seconds > constants.constants["start"].median
    assert "| ratio |" in validate.verdicts_table(verdicts)


def test_the_example_has_nobody_s_prices() -> None:
    assert "What your provider asks" in EXAMPLE.read_text()
