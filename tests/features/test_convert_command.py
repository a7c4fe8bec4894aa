"""`wsgn-convert`: every layout into the project's files, again and again, past bad videos."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from layouts_on_disk import (
    NAMES,
    SAMPLING,
    WIDTH,
    object_array_bytes,
    random_features,
    write_basnet,
    write_charades,
    write_cmcs,
    write_npy,
    write_safetensors,
    write_wtalc,
)
from leftovers import left_by_a_killed_run
from places import SHARED
from safetensors.numpy import load_file

from wsgn.data.layouts import read_annotations
from wsgn.features.cli import main
from wsgn.features.file import read_feature_info
from wsgn.features.layouts import open_features
from wsgn.manifest import Sampling

WRITERS: dict[str, Callable[..., Path]] = {
    "npy": write_npy,
    "opentad": write_npy,
    "charades": write_charades,
    "basnet": write_basnet,
    "cmcs": write_cmcs,
    "wtalc": write_wtalc,
}
TIME_BASE = ("--frame-rate", "25", "--snippet-length", "16", "--snippet-stride", "16")
THUMOS = SHARED / "data" / "thumos14"


def convert(source: Path, output: Path, *options: str) -> int:
    return main([str(source), "-o", str(output), "--quiet", *options])


def folder(root: Path, name: str) -> Path:
    path = root / name
    path.mkdir()
    return path


def annotations(path: Path, **videos: dict[str, object]) -> str:
    database = {name: {"subset": "s", "labels": ["wave"]} | entry for name, entry in videos.items()}
    path.write_text(json.dumps({"database": database}))
    return str(path)


@pytest.mark.parametrize("layout", WRITERS)
def test_every_layout_is_converted_without_loss(tmp_path: Path, layout: str) -> None:
    features, output = random_features(), tmp_path / "out"
    source = WRITERS[layout](folder(tmp_path, "source"), features)
    assert convert(source, output, "--layout", layout, *TIME_BASE) == 0
    assert {path.name for path in output.iterdir()} == {f"{name}.safetensors" for name in NAMES}
    reader = open_features(output)
    for name, values in features.items():
        np.testing.assert_array_equal(reader.read(name), values)
        assert reader.info(name).sampling == SAMPLING


def test_the_time_base_is_the_one_that_was_named(tmp_path: Path) -> None:
    source = write_npy(folder(tmp_path, "source"), random_features())
    options = ("--frame-rate", "12.5", "--snippet-length", "16", "--snippet-stride", "4")
    assert convert(source, tmp_path / "out", *options) == 0
    sampling = open_features(tmp_path / "out").info("video_a").sampling
    assert sampling == Sampling(frame_rate=12.5, snippet_length=16, snippet_stride=4)


def test_the_layout_is_found_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = write_basnet(folder(tmp_path, "source"), random_features())
    assert convert(source, tmp_path / "out", *TIME_BASE) == 0
    said = capsys.readouterr()
    assert "has the layout 'basnet'" in said.err
    assert said.out == f"features: basnet, 3 converted, 0 already there -> {tmp_path / 'out'}\n"


def test_one_stream_and_half_precision_can_be_chosen(tmp_path: Path) -> None:
    features = random_features()
    source = write_cmcs(folder(tmp_path, "source"), features)
    options = ("--streams", "flow", "--dtype", "float16", *TIME_BASE)
    assert convert(source, tmp_path / "out", *options) == 0
    stored = load_file(tmp_path / "out" / "video_b.safetensors")["features"]
    np.testing.assert_array_equal(stored, features["video_b"][:, WIDTH:].astype(np.float16))


def test_the_precision_of_the_source_is_kept(tmp_path: Path) -> None:
    halves = {name: v.astype(np.float16) for name, v in random_features().items()}
    source = write_npy(folder(tmp_path, "source"), halves)
    np.save(source / "video_c.npy", halves["video_c"].astype(np.float64))
    assert convert(source, tmp_path / "out", *TIME_BASE) == 0
    dtypes = [read_feature_info(tmp_path / "out" / f"{n}.safetensors").dtype for n in NAMES]
    assert dtypes == ["float16", "float16", "float32"]


def test_native_frame_rates_and_durations_come_from_the_annotations(tmp_path: Path) -> None:
    source = write_npy(folder(tmp_path, "source"), random_features())
    named = annotations(
        tmp_path / "a.json", video_a={"fps": 30, "duration": 1.0}, video_b={"fps": 25.0}
    )
    assert convert(source, tmp_path / "out", "--layout", "opentad", "--annotations", named) == 0
    info = read_feature_info(tmp_path / "out" / "video_a.safetensors")
    assert (info.sampling.frame_rate, info.duration_seconds) == (30.0, 1.0)
    assert (info.sampling.snippet_length, info.sampling.snippet_stride) == (16, 4)
    assert [stream.name for stream in info.streams] == ["rgb", "flow"]
    # The third video is not annotated.
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_running_again_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, output = write_npy(folder(tmp_path, "source"), random_features()), tmp_path / "out"
    assert convert(source, output, *TIME_BASE) == 0
    whole = (output / "video_a.safetensors").read_bytes()
    (output / "video_b.safetensors").write_bytes(whole[:-1])
    (output / "video_c.safetensors").unlink()
    left_by_a_killed_run(output / "video_c.safetensors")
    before = (output / "video_a.safetensors").stat().st_mtime_ns
    capsys.readouterr()
    assert convert(source, output, *TIME_BASE) == 0
    assert "2 converted, 1 already there" in capsys.readouterr().out
    assert (output / "video_a.safetensors").stat().st_mtime_ns == before
    assert len(list(output.iterdir())) == 3
    reader = open_features(output)
    for name, values in random_features().items():
        np.testing.assert_array_equal(reader.read(name), values)


def test_files_made_with_other_options_are_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, output = write_npy(folder(tmp_path, "source"), random_features()), tmp_path / "out"
    stride = ("--snippet-stride", "8")
    for options in ((), ("--dtype", "float16"), stride, (*stride, "--overwrite")):
        assert convert(source, output, *TIME_BASE, *options) == 0
        assert "3 converted, 0 already there" in capsys.readouterr().out


def test_a_bad_video_does_not_stop_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = random_features()
    features["video_b"][1, 2] = np.nan
    source = write_npy(folder(tmp_path, "source"), features)
    (source / "video_a.npy").write_bytes(b"nothing")
    assert convert(source, tmp_path / "out", "--layout", "npy", *TIME_BASE) == 4
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["video_c.safetensors"]
    said = capsys.readouterr()
    assert "1 converted, 0 already there, 2 failed" in said.out
    lines = said.err.splitlines()[-3:]
    assert lines[0] == "wsgn-convert: 2 of 3 videos failed:"
    assert "video_a: " in lines[1]
    assert "video_b: " in lines[2]
    assert "snippet 1" in lines[2]


def test_values_beyond_half_precision_fail_by_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = random_features()
    features["video_b"][0, 0] = 1e5
    source = write_npy(folder(tmp_path, "source"), features)
    assert convert(source, tmp_path / "out", "--dtype", "float16", *TIME_BASE) == 4
    assert "100000 does not fit into float16" in capsys.readouterr().err


def test_names_lead_nowhere_else(tmp_path: Path) -> None:
    features = random_features()
    features["../escaped"] = features.pop("video_b")
    source = write_wtalc(folder(tmp_path, "source"), features)
    assert convert(source, tmp_path / "out", *TIME_BASE) == 4
    assert not (tmp_path / "escaped.safetensors").exists()
    assert len(list((tmp_path / "out").iterdir())) == 2


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ((), 2, "no time base"),
        (("--frame-rate", "25"), 2, "all three"),
        ((*TIME_BASE, "--layout", "basnet"), 3, "no features of the stream"),
        ((*TIME_BASE, "--layout", "hdf5"), 2, "--layout must be one of"),
        ((*TIME_BASE, "--streams", "audio"), 2, "streams must be"),
        ((*TIME_BASE, "--annotations-out", "a.json"), 2, "needs --annotations"),
        ((*TIME_BASE, "--annotations", "none.json"), 3, "none.json"),
    ],
)
def test_wrong_wishes_have_an_exit_code_and_a_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    source = write_npy(folder(tmp_path, "source"), random_features())
    assert convert(source, tmp_path / "out", *options) == code
    said = capsys.readouterr()
    assert words in said.err
    assert said.out == ""


def test_nothing_to_do_and_half_a_task_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([]) == 2
    assert main([str(tmp_path)]) == 2
    assert main([str(tmp_path), "-o", str(tmp_path)]) == 2
    assert main(["--help"]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_features_that_cannot_be_written_are_an_output_error(tmp_path: Path) -> None:
    source = write_npy(folder(tmp_path, "source"), random_features())
    (tmp_path / "out").write_bytes(b"a file")
    assert convert(source, tmp_path / "out", *TIME_BASE) == 6


def test_a_time_base_against_the_durations_writes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_npy(folder(tmp_path, "source"), random_features())
    named = annotations(tmp_path / "a.json", video_a={"duration": 99.0})
    assert convert(source, tmp_path / "out", *TIME_BASE, "--annotations", named) == 3
    assert "contradicts the durations" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_malicious_bundle_is_refused_unrun(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Attack:
        def __reduce__(self) -> object:
            return (Path.touch, (tmp_path / "marker",))

    path = write_wtalc(folder(tmp_path, "source"), random_features())
    path.write_bytes(object_array_bytes(pickle.dumps(Attack(), protocol=2)))
    assert convert(path, tmp_path / "out", *TIME_BASE) == 3
    assert "and that is code" in capsys.readouterr().err
    assert not (tmp_path / "marker").exists()


def test_already_plain_features_can_be_narrowed(tmp_path: Path) -> None:
    features = random_features()
    source = write_safetensors(folder(tmp_path, "source"), features)
    assert convert(source, tmp_path / "out", "--streams", "rgb") == 0
    rgb = open_features(tmp_path / "out").read("video_c")
    np.testing.assert_array_equal(rgb, features["video_c"][:, :WIDTH])


@pytest.mark.skipif(not THUMOS.is_dir(), reason=f"needs the shared data in {THUMOS}")
def test_the_annotations_of_wtalc_become_json(tmp_path: Path) -> None:
    target = tmp_path / "thumos14.json"
    bundle = str(THUMOS / "wtalc_npy")
    assert main(["--annotations", bundle, "--annotations-out", str(target)]) == 0
    ours, theirs = read_annotations(target), read_annotations(THUMOS / "thumos14.json")
    assert ours.classes == theirs.classes
    assert [(v.name, v.subset, v.labels, v.segments) for v in ours.videos] == [
        (v.name, v.subset, v.labels, v.segments) for v in theirs.videos
    ]


@pytest.mark.parametrize("named", [False, True])
def test_the_csv_files_of_charades_become_json(tmp_path: Path, named: bool) -> None:
    for subset, actions in (("train", "c001 1 2;c000 0 3"), ("test", "")):
        text = f"id,actions,length\n{subset[:2]},{actions},9\n"
        (tmp_path / f"Charades_v1_{subset}.csv").write_text(text)
    files = [str(tmp_path / f"Charades_v1_{subset}.csv") for subset in ("train", "test")]
    if named:
        files = [f"first={files[0]}", f"second={files[1]}"]
    target = tmp_path / "charades.json"
    assert main(["--annotations", *files, "--annotations-out", str(target)]) == 0
    found = read_annotations(target)
    assert len(found.classes) == 157
    (train,) = found.subset("first" if named else "train")
    (test,) = found.subset("second" if named else "test")
    assert (train.name, train.labels) == ("tr", ("c000", "c001"))
    assert train.segments == (("c001", 1.0, 2.0), ("c000", 0.0, 3.0))
    assert (test.name, test.labels, test.duration_seconds) == ("te", (), 9.0)
