"""Real files, and damaged ones, through the whole command with the packaged engine."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from places import SHARED

from wsgn.runtime import demo
from wsgn.runtime.cli.main import main

ENGINE = Path(demo.__file__).parent / "demo.onnx"
VIDEOS = SHARED / "data" / "videos"

pytestmark = [
    pytest.mark.skipif(not ENGINE.is_file(), reason="the packaged engine has not been made yet"),
    pytest.mark.skipif(not VIDEOS.is_dir(), reason="the real videos are not on this machine"),
]

PATHS = sorted(VIDEOS.iterdir()) if VIDEOS.is_dir() else []
# 200 damaged files in all: small ones, so that the damage meets headers as well as frames.
SMALL = [path for path in PATHS if path.stat().st_size < 50_000]
NUM_DAMAGED = 200


def run(path: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[dict[str, object]], str]:
    """Exit code, events and words of one run."""
    code = main([str(path), "--engine", str(ENGINE)])
    out, words = capsys.readouterr()
    return code, [json.loads(line) for line in out.splitlines()], words


def assert_told(code: int, events: list[dict[str, object]], words: str) -> None:
    """A valid result, or one sentence and nothing else."""
    assert code in (0, 3)
    assert "Traceback" not in words
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events[-1]["type"] == "end"
    if code == 3:
        assert events[-2]["type"] == "error"
        assert words.count("wsgn-run: ") >= 1
    for event in events:
        if event["type"] == "segment":
            assert 0 <= float(event["start_seconds"]) < float(event["end_seconds"])  # type: ignore[arg-type]


@pytest.mark.parametrize("path", PATHS, ids=[path.name for path in PATHS])
def test_every_real_video_gives_a_result_or_a_sentence(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, events, words = run(path, capsys)
    assert_told(code, events, words)
    end = events[-1]
    if path.name != "corrupted.mp4":
        assert code == 0
        assert int(end["snippets"]) > 0  # type: ignore[call-overload]


def test_damaged_files_give_a_result_or_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(NUM_DAMAGED):
        source = SMALL[number % len(SMALL)]
        random = np.random.default_rng(number)
        data = np.frombuffer(source.read_bytes(), dtype=np.uint8).copy()
        indices = random.integers(0, len(data), int(random.integers(1, 40)))
        data[indices] ^= random.integers(1, 256, len(indices)).astype(np.uint8)
        path = tmp_path / f"damaged_{number}{source.suffix}"
        path.write_bytes(data.tobytes())
        assert_told(*run(path, capsys))
