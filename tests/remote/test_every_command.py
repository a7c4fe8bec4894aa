"""Each command with all of its inputs and outputs in a store, against the same on this disk."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import planted
import pytest
from contents import contents
from object_store import ObjectStore
from toy import train_words, write_toy_dataset

from wsgn.export.graphs.file import OnnxExport

STORE = "s3://lake/in"
OUT = "s3://found/out"
QUICK = ("--batch-videos", "4", "--thinning", "1", "--threads", "1", "--steps", "2", "-q")
TOY = "{in}/toy/annotations.json {in}/model.safetensors --features {in}/toy/features --threads 1 -q"
RUN, PREDICT = "runtime.cli.main", "prediction.cli"


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all commands here read, made by commands on this disk."""
    folder = tmp_path_factory.mktemp("inputs")
    (folder / "toy").mkdir()
    dataset = write_toy_dataset(folder / "toy", num_training=4, num_test=3)
    trained = train_words(dataset, folder / "trained", *QUICK)
    assert import_module("wsgn.training.cli").main(trained) == 0
    (folder / "trained" / "model.safetensors").rename(folder / "model.safetensors")
    planted.write_video(folder / "a.mp4")
    engine = planted.write_engine(folder / "e.onnx")
    words = [str(folder / "a.mp4"), "-e", str(engine), "-o", str(folder / "results")]
    assert import_module("wsgn.runtime.cli.main").main([*words, "-f", "jsonl,json"]) == 0
    # Pages of a store have no player: here they find no video either.
    (folder / "a.mp4").rename(folder / "b.mp4")
    assert call(PREDICT, f"{TOY} -o {{out}}/predicted.json", str(folder), str(folder)) == 0
    return folder


@pytest.fixture(autouse=True)
def _work(temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run in a folder of their own."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def put_inputs(store: ObjectStore, inputs: Path, line: str) -> None:
    """Put into the store what a line reads."""
    named = [word.removeprefix("{in}/") for word in line.split() if word.startswith("{in}/")]
    for name, data in contents(inputs).items():
        if any(name == one or name.startswith(f"{one}/") for one in named):
            store.put("lake", f"in/{name}", data)


def call(module: str, line: str, source: str, target: str) -> int:
    words = line.replace("{in}", source).replace("{out}", target).split()
    code: int = import_module(f"wsgn.{module}").main(words)
    return code


@pytest.mark.parametrize(
    ("module", "lines"),
    [
        (RUN, ["clips {in}/results/a.jsonl {in}/b.mp4 -o {out}"]),
        (RUN, ["report {in}/results/a.jsonl -o {out}"]),
        (RUN, ["export {in}/results/a.jsonl --to otio -o {out} --frame-rate 25"]),
        (RUN, ["export {in}/results/a.json --to labelstudio -o {out} --frame-rate 25"]),
        (PREDICT, [f"{TOY} -o {{out}}/a.json --protocol activitynet --report {{out}}/a.html"]),
        (PREDICT, [f"{TOY} --subset train --segments middle --write-model {{out}}/m.safetensors"]),
        (
            PREDICT,
            [f"{TOY} --parts {{out}}/p --shard {n}/2 --resume" for n in (1, 2, 2)]
            + [f"{TOY} --parts {{out}}/p -o {{out}}/a.json"],
        ),
        (
            "metrics.cli",
            [
                "{in}/predicted.json --truth {in}/toy/annotations.json --subset test "
                "--protocol activitynet --report {out}/a.html"
            ],
        ),
        ("extraction.cli", ["{in}/b.mp4 --backbone motion -o {out} --threads 1 -q"]),
        (
            "features.cli",
            ["--annotations {in}/toy/annotations.json --annotations-out {out}/a.json"],
        ),
    ],
)
def test_a_command_writes_there_what_it_writes_here(
    module: str,
    lines: list[str],
    inputs: Path,
    object_store: ObjectStore,
    tmp_path: Path,
    temporary: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    object_store.bucket("found")
    for line in lines:
        put_inputs(object_store, inputs, line)
        assert call(module, line, str(inputs), str(tmp_path / "out")) == 0, capsys.readouterr().err
        capsys.readouterr()
        assert call(module, line, STORE, OUT) == 0, capsys.readouterr().err
        said = capsys.readouterr()
        assert str(temporary) not in said.out + said.err
    expected = contents(tmp_path / "out")
    assert object_store.keys("found") == sorted(f"out/{name}" for name in expected)
    for name, data in expected.items():
        found = object_store.get("found", f"out/{name}")
        assert found == data, name
    assert object_store.unfinished("found") == []
    assert list((tmp_path / "work").iterdir()) == []
    assert [path for path in temporary.iterdir() if "wsgn" in path.name] == []


def test_golden_vectors_of_an_engine_and_a_video_in_a_store(
    inputs: Path, object_store: ObjectStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "golden {in}/e.onnx --source {in}/b.mp4 --seconds 2 -o {out}"
    put_inputs(object_store, inputs, line)
    for source, name in ((str(inputs), "here"), (STORE, "there")):
        assert call(RUN, line, source, str(tmp_path / name)) == 0, capsys.readouterr().err
    assert contents(tmp_path / "here") == contents(tmp_path / "there")
    assert call(RUN, line, STORE, OUT) == 2
    assert f"--output must be on this disk, and '{OUT}' is an address" in capsys.readouterr().err


def test_an_engine_is_exported_once_to_an_address(
    inputs: Path,
    object_store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    line = "{in}/model.safetensors --graph whole-video -o {out}.onnx"
    put_inputs(object_store, inputs, line)
    object_store.bucket("found")
    # The graph itself takes ten times as long as all else here, and is the same.
    graphs = "wsgn.export.graphs"
    monkeypatch.setattr(f"{graphs}.document.export_graph", lambda *_, **__: bytes(5_000))
    monkeypatch.setattr(
        f"{graphs}.document.save_graph", lambda graph, path, wanted: path.write_bytes(graph)
    )
    report = OnnxExport(path=Path(), classes=("a",), sizes=(), tolerance=1.0, parity=())
    monkeypatch.setattr(
        f"{graphs}.file._parity",
        lambda subject, graph, path, wanted, **_: replace(report, path=wanted),
    )
    assert call("export.to_onnx", line, STORE, OUT) == 0, capsys.readouterr().err
    assert f"{OUT}.onnx: 5.0 kB, 1 classes" in capsys.readouterr().out
    assert object_store.get("found", "out.onnx") == bytes(5_000)
    assert call("export.to_onnx", line, STORE, OUT) == 6
    assert f"{OUT}.onnx exists; choose another name" in capsys.readouterr().err
