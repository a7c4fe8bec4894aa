"""Several result files of `wsgn-eval` as rows of a table, and groups of them."""

from __future__ import annotations

import csv
import io
import json
import statistics
from pathlib import Path

import pytest

from wsgn.metrics import cli
from wsgn.metrics.comparison import names_of

# How long the found part of ten seconds is, in two runs of each of two settings.
LENGTHS = {"a/1": 10.0, "a/2": 5.5, "b/1": 8.0, "b/2": 2.0}


@pytest.fixture
def runs(tmp_path):
    instances = [{"label": label, "segment": [0, 10]} for label in ("run", "hop")]
    truth = {"database": {"v": {"subset": "test", "annotations": instances}}}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    paths = {}
    for name, length in LENGTHS.items():
        path = paths[name] = tmp_path / name / "detections.json"
        path.parent.mkdir(parents=True)
        found = [{"label": "run", "segment": [0, length], "score": 1.0}]
        path.write_text(json.dumps({"results": {"v": found}}))
    options = ["--truth", str(tmp_path / "truth.json"), "--protocol", "activitynet"]
    return {name: str(path) for name, path in paths.items()}, [*options, "--tiou", "0.5", "0.7"]


def test_files_are_rows_by_what_tells_their_paths_apart(runs, capsys):
    paths, options = runs
    assert cli.main([*paths.values(), *options, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["results"] for row in rows] == list(LENGTHS)
    # One of two classes is found, and only where it overlaps enough.
    assert [row["0.5"] for row in rows] == ["50.0", "50.0", "50.0", "0.0"]
    assert [row["0.7"] for row in rows] == ["50.0", "0.0", "50.0", "0.0"]


def test_a_group_has_mean_and_deviation(runs, capsys):
    paths, options = runs
    groups = ["--group", "first", paths["a/1"], paths["a/2"], "--group", "b", paths["b/2"]]
    assert cli.main([*groups, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "activitynet: 1 videos, 2 instances, 2 classes"
    deviation = statistics.stdev([50.0, 25.0])
    assert lines[2].split() == [
        "first", "2", "50.00", "±", "0.00", "25.00", "±", f"{statistics.stdev([50, 0]):.2f}",
        "37.50", "±", f"{deviation:.2f}",
    ]  # fmt: skip
    assert lines[3].split() == ["b", "1", "0.00", "0.00", "0.00"]
    assert cli.main([*groups, *options, "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)["rows"]
    assert first["files"] == [paths["a/1"], paths["a/2"]]
    assert first["percent"]["average"] == 37.5
    assert first["deviation"]["average"] == pytest.approx(deviation)
    assert "deviation" not in second


def test_classes_are_rows_below_each_result(runs, capsys):
    paths, options = runs
    assert cli.main([paths["a/1"], paths["b/2"], *options, "--format", "csv", "--per-class"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [(row["results"], row["class"], row["average"]) for row in rows] == [
        ("a/1", "all", "50.0"),
        ("a/1", "hop", "0.0"),
        ("a/1", "run", "100.0"),
        ("b/2", "all", "0.0"),
        ("b/2", "hop", "0.0"),
        ("b/2", "run", "0.0"),
    ]


def test_one_file_keeps_its_table_in_every_format(runs, capsys):
    paths, options = runs
    assert cli.main([paths["a/2"], *options, "--format", "markdown"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [cell.strip() for cell in lines[2].split("|")[1:-1]] == ["tIoU", "0.5", "0.7", "average"]
    assert lines[4].split("|")[2].strip() == "50.00"


@pytest.mark.parametrize("extra", [["--group", "x"], ["--json", "--format", "csv"]])
def test_what_makes_no_table_is_a_usage_error(runs, capsys, extra):
    paths, options = runs
    assert cli.main([paths["a/1"], *options, *extra]) == 2
    assert capsys.readouterr().err.count("\n") <= 2


def test_names_of_paths():
    assert names_of([Path("runs/a/d.json"), Path("runs/b/d.json")]) == ["a", "b"]
    assert names_of([Path("a.json"), Path("b.json")]) == ["a.json", "b.json"]
    assert names_of([Path("x/d.json"), Path("d.json")]) == ["x/d.json", "d.json"]
    assert names_of([Path("a/d.json"), Path("a/d.json")]) == ["a/d.json", "a/d.json"]
    assert names_of([]) == []
