"""Checkpoints of earlier formats: they find what they found, and damaged ones get a sentence.

`checkpoints/` holds two trainings of 60 steps on the toy features, made by the code of format 2,
and the segments that it found in the first test video.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_checkpoint import STORED_MODEL, STORED_PROPOSALS, STORED_WTALC, leaves, rewritten
from toy import ToySource

from wsgn.checkpoint import FORMAT, load_checkpoint, save_checkpoint
from wsgn.earlier_checkpoints import of_today
from wsgn.errors import WsgnError
from wsgn.prediction.evaluate import find_segments, trained_rule
from wsgn.prediction.predict import predict_videos

FOLDER = Path(__file__).with_name("checkpoints")
FIRST_TEST_VIDEO = 24


class OneVideo(ToySource):
    """The first of the videos on which the stored models were tested."""

    def __init__(self) -> None:
        super().__init__(FIRST_TEST_VIDEO + 12)
        self.videos = self.videos[FIRST_TEST_VIDEO : FIRST_TEST_VIDEO + 1]
        self._features = self._features[FIRST_TEST_VIDEO:]


@pytest.mark.parametrize("name", ["wsgn_plus", "complete"])
def test_it_finds_what_it_found(name: str, tmp_path: Path) -> None:
    expected = json.loads((FOLDER / "segments.json").read_text())[name]
    path = FOLDER / f"{name}.safetensors"
    # Read, written in the format of today, and read again.
    save_checkpoint(tmp_path / "model.safetensors", load_checkpoint(path))
    for checkpoint in map(load_checkpoint, (path, tmp_path / "model.safetensors")):
        predictions = predict_videos(checkpoint.build(), OneVideo())
        (found,) = find_segments(
            predictions, checkpoint.model.classes, trained_rule(checkpoint)
        ).values()
        # By many thresholds, scores are divided since, to lie from 0 to 1, and a contrast under 0
        # counts 0: the least of the candidates are others.
        least, scale = (0.1, 1.2) if name == "wsgn_plus" else (0.0, 1.0)
        rows = [(s.label, s.start_seconds, s.end_seconds, scale * s.score) for s in found]
        rows = [row for row in rows if row[3] >= least]
        wanted = [row for row in expected if row[3] >= least]
        assert len(wanted) > 5
        assert [row[0] for row in rows] == [row[0] for row in wanted]
        np.testing.assert_allclose(
            [row[1:] for row in rows], [row[1:] for row in wanted], atol=2e-5
        )


def test_its_format_is_another() -> None:
    with (FOLDER / "complete.safetensors").open("rb") as file:
        assert b"wsgn.checkpoint/2" in file.read()
    assert FORMAT != "wsgn.checkpoint/2"


def document(**changes: Any) -> dict[str, Any]:
    return {"model": STORED_MODEL | changes, "calibration": {"prior": {}, "detection": {}}}


def test_smoothing_in_snippets_is_as_many_seconds() -> None:
    # 3 snippets, one every 4 of 10 frames a second.
    model = of_today(document(), what="x")["model"]
    assert model["smoothing_seconds"] == pytest.approx(1.2)
    assert "smoothing_snippets" not in model
    # 3 frames, every second of 10 frames a second.
    frames = of_today(document(time_unit="frame", scoring_step=2), what="x")["model"]
    assert frames["smoothing_seconds"] == pytest.approx(0.6)


def test_what_had_one_meaning_keeps_it() -> None:
    today = of_today(document(), what="x")
    assert today["model"]["method"]["weight_scale"] == "per_frame"
    assert today["calibration"]["proposals"] == STORED_PROPOSALS
    bare = document()
    del bare["model"]["method"]
    assert of_today(bare, what="x")["model"]["method"]["weight_scale"] == "per_frame"
    other = of_today(document(method=STORED_WTALC, proposals=None), what="x")
    assert other["model"]["method"] == STORED_WTALC
    assert "proposals" not in other["calibration"]
    kept = set(leaves(STORED_MODEL)) - set(leaves(today["model"]))
    assert {path for path, _ in kept} <= {".smoothing_snippets"}


@pytest.mark.parametrize(
    "change",
    [
        lambda model: model.update(smoothing_snippets="5"),
        lambda model: model.update(smoothing_snippets=4),
        lambda model: model.update(smoothing_snippets=10**400),
        lambda model: model.update(smoothing_snippets=20_001),
        lambda model: model.update(sampling=None),
        lambda model: model.update(sampling={"frame_rate": 0}),
        lambda model: model.update(time_unit="frame", scoring_step="2"),
        lambda model: model.update(method=[]),
        lambda model: model.update(proposals=7),
        lambda model: model.pop("sampling"),
    ],
)
def test_a_damaged_one_is_a_sentence(tmp_path: Path, change: Callable[[Any], object]) -> None:
    path = tmp_path / "model.safetensors"
    shutil.copy(FOLDER / "complete.safetensors", path)
    rewritten(path, lambda whole: change(whole["model"]))
    with pytest.raises(WsgnError) as caught:
        load_checkpoint(path)
    assert str(caught.value).count("\n") == 0
    assert len(str(caught.value)) < 500
