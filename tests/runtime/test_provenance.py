"""An engine that has seen nothing filmed says so once, when it meets other films."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import planted
import pytest
from outcomes import Run

from wsgn.manifest import SYNTHETIC
from wsgn.runtime import detect, open_engine
from wsgn.runtime.demo import is_sample, load_demo
from wsgn.runtime.events import WarningEvent
from wsgn.runtime.pipeline import MADE_UP


@pytest.fixture(scope="module", params=SYNTHETIC)
def drawn(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The planted engine, made of what was never filmed."""
    manifest = replace(planted.planted_manifest(), provenance={"trained_on": request.param})
    return planted.write_engine(tmp_path_factory.mktemp("drawn") / "drawn.onnx", manifest)


def test_it_is_said_once_for_all_films(
    run: Run, drawn: Path, video_path: Path, tmp_path: Path
) -> None:
    for name in ("a.mp4", "b.mp4"):
        shutil.copyfile(video_path, tmp_path / name)
    done = run(tmp_path, engine=drawn)
    assert done.code == 0
    assert done.err.count("was trained on synthetic") == 1
    assert [event["code"] for event in done.of_type("warning")] == [MADE_UP] * 2
    assert [event["type"] for event in done.events][:3] == ["run", "source", "warning"]


def test_the_sample_and_its_copies_are_what_it_knows(drawn: Path, tmp_path: Path) -> None:
    sample = load_demo().video
    copy = shutil.copyfile(sample, tmp_path / "copy.mp4")
    (tmp_path / "link.mp4").symlink_to(copy)
    assert is_sample(sample)
    assert is_sample(copy)
    assert is_sample(str(tmp_path / "link.mp4"))
    longer = tmp_path / "longer.mp4"
    longer.write_bytes(sample.read_bytes() + b"x")
    for other in (longer, tmp_path, tmp_path / "none.mp4", io.BytesIO(), "a\0b"):
        assert not is_sample(other)
    with open_engine(drawn, num_threads=1) as engine:
        events = list(detect(sample, engine))
        assert not [event for event in events if isinstance(event, WarningEvent)]
        with sample.open("rb") as stream:
            events = list(detect(stream, engine))
        (warning,) = [event for event in events if isinstance(event, WarningEvent)]
        assert warning.code == MADE_UP


@pytest.mark.parametrize("dataset", ["", "thumos14", "synthetic films of mine"])
def test_an_engine_of_filmed_data_says_nothing(
    run: Run, dataset: str, video_path: Path, tmp_path: Path
) -> None:
    provenance = {"trained_on": dataset} if dataset else {}
    manifest = replace(planted.planted_manifest(), provenance=provenance)
    engine = planted.write_engine(tmp_path / "a.onnx", manifest)
    done = run(video_path, engine=engine)
    assert (done.code, done.err) == (0, "")


def test_the_packaged_engine_is_one(capsys: pytest.CaptureFixture[str], video_path: Path) -> None:
    from wsgn.runtime.cli.main import main

    engine = str(load_demo().engine)
    assert main(["manifest", engine]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["provenance"]["trained_on"] == "synthetic videos"
    assert shown["provenance"]["training_videos"] == "160"
    assert main(["--demo"]) == 0
    assert "trained on" not in capsys.readouterr().err
    assert main([str(video_path), "-e", engine]) == 0
    assert "was trained on synthetic videos" in capsys.readouterr().err
    assert main([str(video_path), "-e", engine, "-q"]) == 0
    assert capsys.readouterr().err == ""
