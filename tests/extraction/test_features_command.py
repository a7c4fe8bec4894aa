"""`wsgn-features` as a user meets it: results, exit codes, going on, and what it refuses."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run_python
from contents import contents
from leftovers import left_by_a_killed_run
from numbered_clips import steady, write_clip
from opened_files import note_opened
from places import ROOT
from planted_faults import plant_faults
from safetensors import safe_open

from wsgn.backbones.build import build_backbone
from wsgn.extraction.cli import main
from wsgn.extraction.config import BACKBONES
from wsgn.features.file import read_feature_file, read_feature_info
from wsgn.features.layouts import open_features
from wsgn.features.reader import stored_names
from wsgn.manifest import Sampling
from wsgn.video import FrameGrid, SampledFrame, VideoReader

SMALL = ["--short-side", "48", "--crop-size", "40", "-q"]
COMPACT = ["--backbone", "compact", "--random-weights", *SMALL]


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    folder.mkdir()
    write_clip(folder / "long.mp4", steady(201))
    write_clip(folder / "short.mp4", steady(40))
    return folder


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def test_features_are_the_backbone_on_the_frames(tmp_path: Path, clips: Path) -> None:
    assert run(clips, "-o", tmp_path / "out", *COMPACT, "--batch", 5) == 0
    with VideoReader(clips / "long.mp4", FrameGrid(25.0, 48, 48, "centre_crop")) as reader:
        frames = np.stack([f.image for f in reader if isinstance(f, SampledFrame)])
    snippets = frames[: 12 * 16, 4:44, 4:44].reshape(12, 16, 40, 40, 3)
    torch.manual_seed(0)
    backbone = build_backbone(BACKBONES["compact"], 16).eval()
    with torch.inference_mode():
        expected = backbone(torch.from_numpy(snippets)).numpy()
    _, found = read_feature_file(tmp_path / "out" / "long.safetensors")
    assert found.shape == (12, 128)
    # Random weights make little of the frames, but more than is tolerated.
    spread = expected.std(axis=0).max()
    assert spread > 1e-5
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.02 * spread)


def test_training_reads_what_comes_out(tmp_path: Path, clips: Path) -> None:
    assert run(clips, "-o", tmp_path / "out", *COMPACT, "--frame-rate", "10") == 0
    reader = open_features(tmp_path / "out")
    assert reader.names == ("long", "short")
    info = reader.info("long")
    assert (info.sampling.frame_rate, info.num_snippets) == (10.0, 81 // 16)
    assert reader.read("short").shape == (1, 128)


def test_videos_of_one_name_lie_in_folders_and_are_found(tmp_path: Path) -> None:
    for number, label in enumerate(("walk", "jump")):
        (tmp_path / "clips" / label).mkdir(parents=True)
        write_clip(tmp_path / "clips" / label / "1.mp4", steady(20 + 20 * number))
    out = tmp_path / "out"
    assert run(tmp_path / "clips", "-o", out, *COMPACT) == 0
    assert run(tmp_path / "clips", "-o", out, *COMPACT) == 0
    reader = open_features(out)
    assert reader.names == ("jump/1", "walk/1")
    # Of folders as annotations, and of a table with the files' names.
    for ending in ("", ".mp4"):
        stored = stored_names([f"walk/1{ending}", f"jump/1{ending}"], reader.names)
        counts = [reader.info(name).num_snippets for name in stored.values()]
        assert counts == [1, 2], ending
    assert stored_names(["walk/1.mp4", "walk/1.avi"], reader.names) == {}


def test_snippets_are_cut_as_the_options_say(tmp_path: Path, clips: Path) -> None:
    options = ["--snippet-length", "8", "--snippet-stride", "4", "--dtype", "float16"]
    assert run(clips / "short.mp4", "-o", tmp_path / "out", *COMPACT, *options) == 0
    info = read_feature_info(tmp_path / "out" / "short.safetensors")
    assert info.sampling == Sampling(frame_rate=25.0, snippet_length=8, snippet_stride=4)
    assert (info.num_snippets, info.dtype) == ((40 - 8) // 4 + 1, "float16")
    assert "short side 48, centre crop 40" in info.source


def test_it_goes_on_where_it_stopped(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(clips / "short.mp4", "-o", out, *COMPACT) == 0
    before = (out / "short.safetensors").stat()
    left_by_a_killed_run(out / "long.safetensors")
    (out / "long.safetensors").write_bytes(b"damaged")
    assert run(clips, "-o", out, *COMPACT) == 0
    assert "1 extracted (12 snippets), 1 already there" in capsys.readouterr().out
    assert (out / "short.safetensors").stat().st_mtime_ns == before.st_mtime_ns
    assert sorted(path.name for path in out.iterdir()) == ["long.safetensors", "short.safetensors"]
    assert run(clips, "-o", out, *COMPACT, "--overwrite") == 0
    assert "2 extracted" in capsys.readouterr().out


@pytest.mark.parametrize(
    "change",
    [
        ["--frame-rate", "10"],
        ["--frame-rate", "native"],
        ["--snippet-stride", "8"],
        ["--crop-size", "32"],
        ["--dtype", "float16"],
    ],
)
def test_other_features_are_not_mixed_in(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str], change: list[str]
) -> None:
    out = tmp_path / "out"
    assert run(clips / "short.mp4", "-o", out, *COMPACT) == 0
    before = (out / "short.safetensors").read_bytes()
    assert run(clips / "long.mp4", "-o", out, *COMPACT, *change) == 2
    assert "holds other features" in capsys.readouterr().err
    # Replacing the one that was named leaves the other one as it is.
    assert run(clips / "long.mp4", "-o", out, *COMPACT, *change, "--overwrite") == 2
    assert (out / "short.safetensors").read_bytes() == before
    assert not (out / "long.safetensors").exists()
    assert run(clips, "-o", out, *COMPACT, *change, "--overwrite") == 0


def test_one_bad_video_does_not_stop_the_others(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "empty.mp4").touch()
    (clips / "words.mp4").write_text("no video")
    out = tmp_path / "out"
    assert run(clips, clips / "none.mp4", "-o", out, *COMPACT) == 4
    captured = capsys.readouterr()
    assert "2 extracted (14 snippets), 0 already there, 3 failed" in captured.out
    assert "3 of 5 videos failed" in captured.err
    assert "empty.mp4 is empty (0 bytes)" in captured.err
    assert sorted(path.stem for path in out.iterdir()) == ["long", "short"]
    # Only the bad ones are tried again.
    assert run(clips, "-o", out, *COMPACT) == 4
    assert "0 extracted (0 snippets), 2 already there, 2 failed" in capsys.readouterr().out
    assert run(clips / "empty.mp4", "-o", out, *COMPACT) == 3


def test_several_workers_give_the_same(tmp_path: Path, clips: Path) -> None:
    for workers in (1, 3):
        assert run(clips, "-o", tmp_path / str(workers), *COMPACT, "--workers", workers) == 0
    for name in ("long", "short"):
        one, three = (tmp_path / n / f"{name}.safetensors" for n in ("1", "3"))
        assert one.read_bytes() == three.read_bytes()


def test_processes_give_the_same_and_a_crash_or_a_hang_costs_one_video(
    tmp_path: Path,
    clips: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (clips / "empty.mp4").touch()
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    assert run(clips, "-o", alone, *COMPACT, "--threads", 1) == 4
    of_one = capsys.readouterr()
    for name in ("z-crash", "z-hang"):
        (clips / f"{name}.mp4").write_bytes((clips / "short.mp4").read_bytes())
    faults = plant_faults(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((faults, str(ROOT))))
    some = ["--processes", 2, "--stall-limit", 8, "--threads", 1]
    assert run(clips, "-o", shared, *COMPACT, *some) == 4
    of_two = capsys.readouterr()
    assert "2 extracted (14 snippets), 0 already there, 3 failed" in of_two.out
    assert "z-crash: the process that worked on it has ended (SIGSEGV)" in of_two.err
    assert "z-hang: nothing came of it for 8 s" in of_two.err
    assert [line for line in of_one.err.splitlines() if "empty" in line] == [
        line for line in of_two.err.splitlines() if "empty" in line
    ]
    assert contents(shared) == contents(alone)
    # What is there is not done again, and no process is started for nothing.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "nowhere"))
    for name in ("z-crash", "z-hang", "empty"):
        (clips / f"{name}.mp4").unlink()
    assert run(clips, "-o", shared, *COMPACT, "--processes", 2) == 0


def test_who_shares_videos_out_loads_no_pytorch(tmp_path: Path, clips: Path) -> None:
    """Each process does, which takes longer than short videos."""
    words = [str(clips / "short.mp4"), "-o", str(tmp_path / "out"), *map(str, COMPACT)]
    program = (
        "import sys; from wsgn.extraction.cli import main; "
        f"code = main({[*words, '--processes', '1']!r}); sys.exit(code or 'torch' in sys.modules)"
    )
    ended = run_python("-c", program)
    assert (ended.returncode, "1 extracted" in ended.stdout) == (0, True), ended.stderr


def test_processes_and_workers_are_told_apart(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for words, sentence in (
        (["--processes", 2, "--workers", 2], "leave --workers out"),
        (["--processes", 0], "--processes must be 1 to"),
        (["--stall-limit", 9], "needs --processes N"),
        # Networks are opened in the processes, and what is wrong with them is said as it is.
        (["--processes", 1, "--device", "cuda:77"], "cuda"),
    ):
        assert run(clips, "-o", tmp_path / "out", *COMPACT, *words) == 2, words
        said = capsys.readouterr().err
        assert sentence in said
        assert "in a worker" not in said
    assert not (tmp_path / "out").exists()


def test_shards_share_the_videos_of_a_folder(
    tmp_path: Path, clips: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(clips, "-o", tmp_path / "one", *COMPACT) == 0
    (tmp_path / "some").mkdir()
    for name in "abcdef":
        (tmp_path / "some" / f"{name}.safetensors").symlink_to(
            tmp_path / "one" / "long.safetensors"
        )
    opened = note_opened(monkeypatch, tmp_path / "some")
    for number, own in ((1, "long"), (2, "short"), (3, "")):
        opened.clear()
        assert run(clips, "-o", tmp_path / "some", *COMPACT, "--shard", f"{number}/3") == 0
        # Its own, which is not there yet, and one of all others.
        assert len(set(opened) - {f"{own}.safetensors"}) == 1
    for name in ("long.safetensors", "short.safetensors"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "some" / name).read_bytes()
    assert run(clips, "-o", tmp_path / "some", *COMPACT, "--shard", "4/3") == 2


def test_random_weights_must_be_asked_for_and_are_told(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(clips, "-o", tmp_path / "out", "--backbone", "compact", *SMALL) == 2
    assert "--weights" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert run(clips / "short.mp4", "-o", tmp_path / "out", *COMPACT) == 0
    assert "random" in capsys.readouterr().err
    with safe_open(tmp_path / "out" / "short.safetensors", framework="numpy") as file:
        document = json.loads(file.metadata()["wsgn.features"])
    assert "RANDOM WEIGHTS" in document["source"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--crop-size", "64"], "does not fit"),
        (["--crop-size", "4"], "needs frames of at least 8"),
        (["--frame-rate", "-1"], "frame_rate must be a positive number"),
        (["--snippet-stride", "0"], "snippet_stride"),
        (["--batch", "0"], "must be 1 to 1024"),
        (["--device", "tpu"], "is not a device"),
        (["--backbone", "resnet34"], "must look at different streams"),
        (["--weights", "a.safetensors"], "exclude each other"),
    ],
)
def test_wrong_options_are_usage_errors(
    tmp_path: Path,
    clips: Path,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    assert run(clips, "-o", tmp_path / "out", *COMPACT, *options) == 2
    assert words in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_an_output_error(tmp_path: Path, clips: Path) -> None:
    (tmp_path / "out").write_text("a file")
    assert run(clips, "-o", tmp_path / "out", *COMPACT) == 6


def test_an_interruption_says_how_to_go_on(
    tmp_path: Path,
    clips: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wsgn.extraction.batch.extract_features", interrupted)
    assert run(clips, "-o", tmp_path / "out", *COMPACT) == 130
    assert "run it again" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_two_networks_stand_behind_each_other(tmp_path: Path, clips: Path) -> None:
    pytest.importorskip("cv2", reason="needs the extra 'flow' (OpenCV)")
    options = ["--random-weights", "--flow", "dis", *SMALL]
    both = ["--backbone", "resnet34", "--backbone", "i3d-flow"]
    assert run(clips / "short.mp4", "-o", tmp_path / "both", *both, *options) == 0
    info, values = read_feature_file(tmp_path / "both" / "short.safetensors")
    assert [(s.name, s.size) for s in info.streams] == [("rgb", 512), ("flow", 1024)]
    assert run(clips / "short.mp4", "-o", tmp_path / "flow", *both[2:], *options) == 0
    _, flow = read_feature_file(tmp_path / "flow" / "short.safetensors")
    np.testing.assert_array_equal(values[:, 512:], flow)
    assert read_feature_info(tmp_path / "flow" / "short.safetensors").source.endswith("flow dis")


def test_a_name_too_long_for_a_feature_file_and_a_fifo_fail_alone(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "short.mp4").rename(clips / f"{'n' * 247}.mp4")
    os.mkfifo(tmp_path / "pipe.mp4")
    assert run(clips, tmp_path / "pipe.mp4", "-o", tmp_path / "out", *COMPACT) == 4
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["long.safetensors"]
    err = capsys.readouterr().err
    assert "file name too long" in err
    assert "pipe.mp4 is a FIFO" in err


def test_what_a_folder_leaves_out_is_told(
    tmp_path: Path, clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "notes.txt").touch()
    (clips / "linked").symlink_to(tmp_path)
    arguments = ["--short-side", "48", "--crop-size", "40", "--backbone", "compact"]
    assert run(clips, "-o", tmp_path / "out", *arguments, "--random-weights") == 0
    assert "left out: 1 file that does not look like a video (.txt 1), 1 link" in (
        capsys.readouterr().err
    )


def test_a_new_folder_does_not_stay_where_no_video_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"no video")
    assert run(tmp_path / "a.mp4", "-o", tmp_path / "new" / "out", *COMPACT) == 3
    assert not (tmp_path / "new").exists()
