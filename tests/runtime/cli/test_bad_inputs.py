"""The table of bad inputs in docs: what each must get, through the command line."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import planted
import pytest
from outcomes import Outcome, Run
from packets import damage_packets


def empty_file(folder: Path) -> Path:
    path = folder / "empty.mp4"
    path.touch()
    return path


def not_a_video(folder: Path) -> Path:
    path = folder / "text.mp4"
    path.write_text("words, words, words\n" * 1000)
    return path


def without_index(folder: Path) -> Path:
    path = planted.write_video(folder / "whole.mp4")
    content = path.read_bytes()
    assert content.index(b"mdat") < content.index(b"moov")
    cut = folder / "cut.mp4"
    cut.write_bytes(content[: content.index(b"moov") - 4])
    return cut


def sound_only(folder: Path) -> Path:
    return planted.write_sound(folder / "sound.m4a")


def missing_file(folder: Path) -> Path:
    return folder / "missing.mp4"


def empty_directory(folder: Path) -> Path:
    path = folder / "empty"
    path.mkdir()
    return path


def unreadable_file(folder: Path) -> Path:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = planted.write_video(folder / "secret.mp4")
    path.chmod(0)
    return path


UNREADABLE = [
    (empty_file, "empty"),
    (not_a_video, "not a video"),
    (without_index, r"index (moov)"),
    (sound_only, "no video stream (audio: aac)"),
    (missing_file, "there is no file"),
    (empty_directory, "holds no video files"),
    (unreadable_file, "permission"),
]


@pytest.mark.parametrize(
    ("make", "words"), UNREADABLE, ids=lambda value: getattr(value, "__name__", "")
)
def test_what_cannot_be_read_gets_one_sentence_and_3(
    run: Run, tmp_path: Path, make: Callable[[Path], Path], words: str
) -> None:
    outcome = run(make(tmp_path))
    assert outcome.code == 3
    assert words in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    (error,) = outcome.of_type("error")
    assert words in error["message"]
    assert not outcome.of_type("end")[0]["complete"]
    assert [event["seq"] for event in outcome.events] == list(range(len(outcome.events)))


def test_a_batch_goes_on_after_a_bad_file_and_says_so(
    run: Run, tmp_path: Path, video_path: Path
) -> None:
    outcome = run(empty_file(tmp_path), video_path, missing_file(tmp_path))
    assert outcome.code == 4
    assert "2 of 3 sources failed" in outcome.err
    assert len(outcome.of_type("error")) == 2
    assert [event["label"] for event in outcome.of_type("segment") if event["final"]] == [
        "red",
        "blue",
    ]


def test_a_merged_document_leaves_out_what_failed(
    run: Run, tmp_path: Path, video_path: Path
) -> None:
    """Also where an earlier run left a result of that name, which --overwrite gives up."""
    output, broken = tmp_path / "out", empty_file(tmp_path)
    arguments = (broken, video_path, "-o", output, "-f", "json")
    for more in ((), ("--overwrite",)):
        assert run(*arguments, *more).code == 4
        merged = json.loads((output / "detections.json").read_text())["results"]
        assert list(merged) == ["planted"]
        (output / "empty.json").write_text('{"results": {"empty": []}}')


def test_fail_fast_stops_at_the_first_bad_file(run: Run, tmp_path: Path, video_path: Path) -> None:
    outcome = run(empty_file(tmp_path), video_path, "--fail-fast")
    assert outcome.code == 3
    assert not outcome.of_type("source")


@pytest.fixture(scope="module")
def truncated_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fast-start file whose frames end in the middle."""
    folder = tmp_path_factory.mktemp("truncated")
    path = planted.write_video(folder / "v.mp4", options={"movflags": "faststart"})
    content = path.read_bytes()
    begin = content.index(b"mdat")
    path.write_bytes(content[: begin + (len(content) - begin) // 2])
    return path


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 4)])
def test_a_truncated_tail_gives_results_and_a_warning(
    run: Run, truncated_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    outcome = run(truncated_path, *arguments)
    assert outcome.code == code
    assert "truncated" in [event["code"] for event in outcome.of_type("warning")]
    assert "of 12.00 s" in outcome.err
    assert not outcome.of_type("end")[0]["complete"]
    assert outcome.of_type("end")[0]["snippets"] > 0


def test_corrupt_packets_are_counted_and_the_rest_is_used(run: Run, tmp_path: Path) -> None:
    path = planted.write_video(tmp_path / "v.mp4")
    content = bytearray(path.read_bytes())
    begin = content.index(b"mdat") + 4
    end = content.index(b"moov") - 4
    middle = begin + (end - begin) // 2
    content[middle : middle + 200] = b"\xff" * 200
    path.write_bytes(content)
    outcome = run(path)
    assert outcome.code == 0
    assert outcome.of_type("warning")
    assert outcome.of_type("end")[0]["snippets"] > 20


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 4)])
def test_frames_that_could_not_be_decoded_are_a_failure_only_when_strict(
    run: Run, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    path = planted.write_video(tmp_path / "v.mp4", keyframe_interval=1)
    damage_packets(path, range(100, 103))
    outcome = run(path, *arguments)
    assert outcome.code == code
    (end,) = outcome.of_type("end")
    assert (end["complete"], end["decode_failures"]) == (True, 3)


def test_one_frame_is_a_valid_result_with_a_warning(run: Run, tmp_path: Path) -> None:
    outcome = run(planted.write_video(tmp_path / "one.mp4", (("red", 0.05),)))
    assert outcome.code == 0
    assert [event["code"] for event in outcome.of_type("warning")] == ["padded"]
    assert outcome.of_type("end")[0]["frames"] == 1


def test_a_stream_that_is_not_there_is_named(run: Run, video_path: Path) -> None:
    outcome = run(video_path, "--stream", "3")
    assert outcome.code == 3
    assert "no video stream 3" in outcome.err


def test_a_closed_stdin_is_named(
    command: list[str], environment: dict[str, str], engine_path: Path
) -> None:
    line = shlex.join([*command, "-", "-e", str(engine_path)]) + " <&-"
    done = subprocess.run(
        ["sh", "-c", line], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "stdin is closed" in done.stderr


def test_stdin_that_cannot_seek_is_read(
    command: list[str], environment: dict[str, str], engine_path: Path, tmp_path: Path
) -> None:
    path = planted.write_video(tmp_path / "v.mkv")
    done = subprocess.run(
        [*command, "-", "-e", str(engine_path), "--scores", "causal"],
        input=path.read_bytes(),
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcome = Outcome(0, done.stdout.decode(), "")
    assert [event["label"] for event in outcome.of_type("segment")] == ["red", "blue"]
    assert outcome.of_type("source")[0]["source"] == "stdin"


def test_a_bad_engine_is_5_before_anything_is_read(
    run: Run, tmp_path: Path, video_path: Path, engine_path: Path
) -> None:
    truncated = tmp_path / "truncated.onnx"
    truncated.write_bytes(engine_path.read_bytes()[:100])
    for engine in (tmp_path / "missing.onnx", truncated):
        outcome = run(video_path, engine=engine)
        assert (outcome.code, outcome.events) == (5, [])
        assert len(outcome.err.strip().splitlines()) == 1


def test_an_engine_that_gives_nan_is_5(run: Run, tmp_path: Path) -> None:
    engine = planted.write_engine(tmp_path / "engine.onnx", nan_above=0.5)
    path = planted.write_video(tmp_path / "green.mp4", (("green", 2.0),))
    output = tmp_path / "out"
    outcome = run(path, "-o", output, engine=engine)
    assert outcome.code == 5
    assert not output.exists()


def test_a_name_that_is_not_utf8_is_no_obstacle(run: Run, tmp_path: Path, video_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.mp4"))
    shutil.copy(video_path, path)
    outcome = run(path, "-o", tmp_path / "out", "-f", "json,csv,jsonl")
    assert outcome.code == 0
    assert len(list((tmp_path / "out").iterdir())) == 3
