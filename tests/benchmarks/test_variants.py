"""The paper's variants: every row, and for its model the figures that wsgn-predict gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_every_script import toy_features

from benchmarks import variants
from wsgn.prediction import cli as predict

SCALES = ["average", "per frame"]


def run(folder: Path, *options: str) -> int:
    annotations, features = folder / "toy.json", folder / "toy"
    if not annotations.exists():
        toy_features(features)
    chosen = [str(annotations), "--features", str(features), "-o", str(folder / "runs")]
    usual = ["--seeds", "0", "--steps", "3", "--thinning", "1", "--workers", "1"]
    return variants.main([*chosen, *usual, *options])


def test_the_rows_are_what_wsgn_predict_says_of_their_models(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--variants", "naive", "ZLoc", "supervised") == 0
    results = json.loads((tmp_path / "runs" / "table.json").read_text())["results"]
    rows = [("naive", "-"), *(("ZLoc", scale) for scale in SCALES), ("supervised", "-")]
    assert [(one["variant"], one["weights"]) for one in results] == rows
    assert [list(one["map"]) for one in results] == [
        ["product"], ["product", "cut", "soft"], ["product"], ["product"],
    ]  # fmt: skip
    for one in results:
        model = Path(one["folder"]) / "model.safetensors"
        capsys.readouterr()
        said = predict.main(
            [
                str(tmp_path / "toy.json"), str(model), "--features", str(tmp_path / "toy"),
                "--segments", "many", "--smoothing-seconds", "2", "--protocol", "activitynet",
                "-q", "--json",
            ]
        )  # fmt: skip
        assert said == 0
        report = json.loads(capsys.readouterr().out)
        assert one["map"]["product"] == pytest.approx(report["mAP"])
        if one["alone"]:
            assert one["alone"]["scores"] == one["map"]["product"]
    text = (tmp_path / "runs" / "table.md").read_text()
    assert "| ZLoc" in text
    assert "local_gaussian" in text


def test_results_of_other_settings_are_not_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--variants", "naive") == 0
    kept = (tmp_path / "runs" / "naive_-_0" / "result.json").stat().st_mtime_ns
    assert run(tmp_path, "--variants", "naive") == 0
    assert (tmp_path / "runs" / "naive_-_0" / "result.json").stat().st_mtime_ns == kept
    capsys.readouterr()
    assert run(tmp_path, "--variants", "naive", "--smoothing-seconds", "1") == 2
    assert "is of other settings: choose another -o" in capsys.readouterr().err
