"""`wsgn-run` with an engine on features: which files it takes, and what it says of others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import planted
import pytest
from onnx import TensorProto, helper
from opened_files import note_opened
from outcomes import Run

from wsgn.features.convert import convert_features
from wsgn.features.file import write_feature_file
from wsgn.features.layouts import open_features
from wsgn.manifest import METADATA_KEY, FeatureInput, Sampling

SIZE = 4
SAMPLING = planted.planted_manifest().sampling
# Snippets of 0.8 s every 0.2 s in which green is seen: from the first one's centre, by a line to
# the one before, to the last one's likewise.
GREEN = slice(10, 30)
START, END = 0.4 + 9.5 * 0.2, 0.4 + 29.5 * 0.2


@pytest.fixture(scope="module")
def on_features(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An engine whose first three features are the probabilities."""
    manifest = replace(planted.planted_manifest(), frames=None, features=FeatureInput(size=SIZE))
    rows = np.array([0, 1, 2], dtype=np.int64)
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["features", "rows"], ["class_probabilities"], axis=1),
            helper.make_node("Identity", ["class_probabilities"], ["selection_logits"]),
        ],
        "planted",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", SIZE])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3])
            for name in ("selection_logits", "class_probabilities")
        ],
        [onnx.numpy_helper.from_array(rows, "rows")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    path = tmp_path_factory.mktemp("on_features") / "heads.onnx"
    onnx.save(model, path)
    return path


def features(num_snippets: int = 40) -> np.ndarray:
    values = np.zeros((num_snippets, SIZE), dtype=np.float32)
    values[GREEN, 1] = 1
    return values


def spans(run: Run, engine: Path, *words: object) -> dict[str, list[tuple[float, float]]]:
    """Start and end of the green segments of each source, in seconds."""
    done = run(*words, engine=engine)
    assert done.code == 0, done.err
    found: dict[str, list[tuple[float, float]]] = {}
    for event in done.events:
        if event["type"] == "source":
            assert event["codec"] == "features"
            now = found.setdefault(event["source"].rpartition("/")[2], [])
        if event["type"] == "segment" and event["final"]:
            assert event["label"] == "green"
            now.append((event["start_seconds"], event["end_seconds"]))
    return found


@pytest.mark.parametrize("scores", ["exact", "causal", "window"])
def test_every_way_to_name_features_finds_what_is_in_them(
    run: Run, on_features: Path, tmp_path: Path, scores: str
) -> None:
    folder = tmp_path / "features"
    write_feature_file(folder / "a.safetensors", features(), SAMPLING)
    write_feature_file(folder / "in" / "b.safetensors", features().astype("f2"), SAMPLING)
    np.save(tmp_path / "c.npy", features()[:, None, None])
    (tmp_path / "list.txt").write_text("features\nc.npy\n")
    found = spans(
        run, on_features, folder, folder / "a.safetensors", tmp_path / "*.npy",
        tmp_path / "list.txt", "--scores", scores, *(["--window", "60"] * (scores == "window")),
    )  # fmt: skip
    assert list(found) == ["a", "b", "c.npy"]
    assert all(one == [pytest.approx((START, END))] for one in found.values())
    if scores == "exact":
        words = (folder, tmp_path / "c.npy", "--workers", 2)
        assert spans(run, on_features, *words) == found
        convert_features(open_features(folder), tmp_path / "packs", pack_bytes=10**9)
        words = (tmp_path / "packs", tmp_path / "c.npy", "--workers", 2)
        assert spans(run, on_features, *words) == found
        index = tmp_path / "packs" / "features.index.json"
        assert spans(run, on_features, index, tmp_path / "c.npy") == found


def test_a_shard_opens_its_own_files_only(
    run: Run, on_features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "features"
    for name in "abcde":
        write_feature_file(folder / f"{name}.safetensors", features(), SAMPLING)
    opened = note_opened(monkeypatch, folder)
    found = spans(run, on_features, folder, "--shard", "2/2", "-o", tmp_path / "out")
    assert list(found) == ["b", "d"]
    assert set(opened) == {"b.safetensors", "d.safetensors"}


def test_features_in_a_store_are_found_as_those_on_a_disk(
    run: Run, on_features: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = pytest.importorskip("fsspec", reason="fsspec is not installed").filesystem("memory")
    monkeypatch.setattr(type(store), "store", {})
    monkeypatch.setattr(type(store), "pseudo_dirs", [""])
    monkeypatch.setenv("WSGN_CACHE", str(tmp_path / "copies"))
    folder = tmp_path / "features"
    write_feature_file(folder / "a.safetensors", features(), SAMPLING)
    write_feature_file(folder / "in" / "b.safetensors", features().astype("f2"), SAMPLING)
    convert_features(open_features(folder), tmp_path / "packs", pack_bytes=10**9)
    for name in ("features", "packs"):
        store.put(str(tmp_path / name), f"/{name}", recursive=True)
        found = spans(run, on_features, f"memory://{name}")
        assert found == {name: [pytest.approx((START, END))] for name in ("a", "b")}
    assert list(spans(run, on_features, "memory://features/a.safetensors")) == ["a.safetensors"]


def test_the_time_base_is_the_files_or_what_was_said(
    run: Run, on_features: Path, tmp_path: Path
) -> None:
    slow = Sampling(frame_rate=5.0, snippet_length=8, snippet_stride=2)
    write_feature_file(tmp_path / "own.safetensors", features(), slow)
    np.save(tmp_path / "said.npy", features())
    done = run(tmp_path / "own.safetensors", engine=on_features)
    (segment,) = [event for event in done.of_type("segment") if event["final"]]
    assert segment["start_seconds"] == pytest.approx(2 * START)
    assert "the engine was trained on 0.8 s each 0.2 s" in done.err
    found = spans(run, on_features, tmp_path / "said.npy", "--input-rate", "8")
    assert found["said.npy"] == [pytest.approx((START * 10 / 8, END * 10 / 8))]
    done = run(tmp_path / "own.safetensors", "--input-rate", "10", engine=on_features)
    assert done.code == 3
    assert "leave the time base out" in done.err


def test_a_part_is_what_lies_in_it_whole(run: Run, on_features: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", features())
    done = run(tmp_path / "v.npy", "--start", "3", "--end", "5", engine=on_features)
    (end,) = done.of_type("end")
    # Those that begin at 3.0 to 4.2 s.
    assert (end["snippets"], end["frames"], end["complete"]) == (7, 20, True)
    (segment,) = [event for event in done.of_type("segment") if event["final"]] or [None]
    assert segment is None or segment["start_seconds"] >= 3
    done = run(tmp_path / "v.npy", "--start", "100", engine=on_features)
    assert done.code == 0
    assert [event["code"] for event in done.of_type("warning")] == ["no_frames"]


def test_results_and_pages_are_written_by_the_names_of_the_videos(
    run: Run, on_features: Path, tmp_path: Path
) -> None:
    for folder in ("x", "y"):
        write_feature_file(tmp_path / folder / "v.1.safetensors", features(), SAMPLING)
    words = ("-o", tmp_path / "out", "-f", "json,html", "--save-scores")
    done = run(tmp_path / "x", tmp_path / "y", *words, engine=on_features)
    assert done.code == 0, done.err
    results = json.loads((tmp_path / "out" / "detections.json").read_text())["results"]
    assert list(results) == ["x/v.1", "y/v.1"]
    page = (tmp_path / "out" / "x" / "v.1.html").read_text()
    assert "green" in page
    with np.load(tmp_path / "out" / "y" / "v.1.scores.npz") as scores:
        assert scores["scores"].shape == (40, 3)


def test_a_name_in_a_bundle_leads_nowhere_else(run: Run, on_features: Path, tmp_path: Path) -> None:
    bundle = np.empty(1, dtype=object)
    bundle[0] = features()
    np.save(tmp_path / "bundle.npy", bundle, allow_pickle=True)
    np.save(tmp_path / "videoname.npy", np.array(["../../v"]))
    done = run(tmp_path / "bundle.npy", "-o", tmp_path / "a" / "b", engine=on_features)
    assert done.code == 0, done.err
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["v.jsonl"]


@pytest.mark.parametrize(
    ("name", "words", "sentence"),
    [
        ("v.mp4", (), "takes features, and"),
        ("none.npy", (), "does not exist"),
        ("empty", (), "holds no features of a known layout"),
        ("wide.npy", (), "are 5 wide where the engine takes 4"),
        ("nan.npy", (), "NaN or infinite values in 1 of 40"),
        ("cut.safetensors", (), "damaged"),
        ("good.npy", ("--stream", "1"), "features have --streams"),
        ("good.npy", ("--layout", "npz"), "choose from"),
        ("good.npy", ("--streams", "rgb"), "does not say which channels are rgb"),
        ("good.npy", ("--kernels", "x"), "--kernels needs a GPU"),
        ("good.npy", ("--kernels", "x", "--scores", "causal"), "--kernels scores whole sources"),
        ("rtsp://127.0.0.1/x", (), "takes features, not the frames of a video"),
    ],
)
def test_what_does_not_fit_is_one_sentence(
    run: Run, on_features: Path, tmp_path: Path, name: str, words: tuple[str, ...], sentence: str
) -> None:
    (tmp_path / "v.mp4").touch()
    (tmp_path / "empty").mkdir()
    spoilt = features()
    spoilt[3, 3] = np.nan
    for file, values in (("wide", np.zeros((40, 5), "f4")), ("nan", spoilt), ("good", features())):
        np.save(tmp_path / f"{file}.npy", values)
    write_feature_file(tmp_path / "whole.safetensors", features(), SAMPLING)
    whole = (tmp_path / "whole.safetensors").read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(whole[:-1])
    source = name if "://" in name else tmp_path / name
    done = run(source, *words, engine=on_features)
    assert done.code in (2, 3, 5)
    assert sentence in done.err
    assert done.err.count("\n") == 1


def test_words_of_features_are_for_engines_on_features(run: Run, video_path: Path) -> None:
    done = run(video_path, "--layout", "npy")
    assert done.code == 2
    assert "takes the frames of videos: leave them out" in done.err


def test_a_dry_run_looks_at_the_headers(
    run: Run, on_features: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.save(tmp_path / "wide.npy", np.zeros((3, 5), "f4"))
    from wsgn.runtime.cli.main import main

    assert main([str(tmp_path / "wide.npy"), "-e", str(on_features), "--dry-run"]) == 3
    assert "are 5 wide" in capsys.readouterr().out
