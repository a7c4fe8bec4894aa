"""`wsgn-run golden`: vectors that are an engine's, and that others can read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import planted
import pytest

from wsgn.engines.open import open_engine
from wsgn.localization.scoring import frame_scores
from wsgn.manifest import Manifest
from wsgn.runtime.cli.main import main


def files(folder: Path) -> dict[str, str]:
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def test_they_are_what_the_engine_says_of_a_video(
    engine_path: Path, video_path: Path, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        words = ["-o", str(tmp_path / name), "--source", str(video_path), "--seconds", "9"]
        assert main(["golden", str(engine_path), *words]) == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")
    document = json.loads((tmp_path / "a" / "golden.json").read_text())
    arrays = {
        name: np.load(tmp_path / "a" / known["file"], allow_pickle=False)
        for name, known in document["arrays"].items()
    }
    for name, known in document["arrays"].items():
        assert [known["dtype"], known["shape"]] == [arrays[name].dtype, [*arrays[name].shape]]
    with open_engine(engine_path, num_threads=1) as engine:
        outputs = engine.infer({name: arrays[name] for name in document["inputs"]})
        assert document["engine_sha256"] == engine.sha256
    np.testing.assert_allclose(arrays["selection_logits"], outputs.selection_logits, atol=1e-6)
    manifest = Manifest.from_json(json.dumps(document["manifest"]))
    scores = frame_scores(
        arrays["selection_logits"], arrays["class_probabilities"], manifest.selection
    )
    np.testing.assert_allclose(arrays["frame_scores"], scores, atol=1e-12)
    assert arrays["start_seconds"][1] == pytest.approx(0.2)
    (segment,) = document["segments"]
    assert segment["label"] == planted.SEGMENTS[0][0]
    assert [segment["start_seconds"], segment["end_seconds"]] == pytest.approx([2, 5], abs=0.1)


def test_without_a_source_they_are_made_up(
    engine_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["golden", str(engine_path), "-o", str(tmp_path / "a"), "--seconds", "3"]) == 0
    assert "12 x 3 snippets and classes" in capsys.readouterr().out
    values = np.load(tmp_path / "a" / "class_probabilities.npy")
    assert values.std(axis=0).min() > 0.01
    again = ["golden", str(engine_path), "-o", str(tmp_path / "a")]
    assert main(again) == 6
    assert main([*again, "--seconds", "nan"]) == 2
    assert (
        main(["golden", str(engine_path), "-o", str(tmp_path / "b"), "--source", "none.mp4"]) == 3
    )
    assert not (tmp_path / "b").exists()
    assert all(line.startswith("wsgn-run: ") for line in capsys.readouterr().err.splitlines())
