"""The command: what it says, refuses and leaves behind."""

from __future__ import annotations

import hashlib
import os
import pickle
import subprocess
from pathlib import Path

import pytest
import torch
from published_states import i3d_state

from wsgn.weights import digests
from wsgn.weights.cli import main
from wsgn.weights.digests import file_digests
from wsgn.weights.published import PUBLISHED, PublishedFile, PublishedWeights


@pytest.fixture(scope="module")
def flow_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mine.pt"
    torch.save(i3d_state("pytorch-i3d", channels=2), path)
    return path


class Harmful:
    """A pickle that runs a command when it is loaded."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, (self.command,)


def test_list_names_every_file_with_its_licence_and_checksum(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    for entry in PUBLISHED:
        assert f"{entry.name}: {entry.kind}" in shown
        assert entry.licence in shown
        assert all(file.url in shown for file in entry.files)
    assert "SHA-256 b627a593... (the rest unknown)" in shown


def test_check_says_what_a_file_is(flow_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(flow_file)]) == 0
    shown = capsys.readouterr().out
    assert "i3d-flow, 400 classes, names of pytorch-i3d" in shown
    assert "known by its names and shapes only" in shown
    assert hashlib.sha256(flow_file.read_bytes()).hexdigest() in shown


def test_convert_leaves_one_file(flow_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "new" / "flow.safetensors"
    assert main(["convert", str(flow_file), "-o", str(output), "--as", "i3d-flow"]) == 0
    assert [path.name for path in output.parent.iterdir()] == ["flow.safetensors"]


def test_a_file_with_a_known_checksum_is_named(
    flow_file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Git itself says what the blob's name is.
    blob = subprocess.run(
        ["git", "hash-object", "--no-filters", str(flow_file)],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    entry = PublishedWeights(
        name="somebody/flow",
        kind="i3d-flow",
        licence="MIT",
        trained_on="nothing",
        files=(PublishedFile(url="https://example.org/flow.pt", git_blob=blob),),
    )
    monkeypatch.setattr(digests, "PUBLISHED", (*PUBLISHED, entry))
    assert main(["check", str(flow_file)]) == 0
    assert "the checksum is that of somebody/flow (MIT)" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["flow_imagenet.pt", "resnet34-b627a593.pth"])
def test_a_published_name_with_another_checksum_is_refused(
    flow_file: Path, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).write_bytes(flow_file.read_bytes())
    assert main(["check", str(tmp_path / name)]) == 3
    assert "it is damaged, or another file" in capsys.readouterr().err
    assert main(["check", str(tmp_path / name), "--any-checksum"]) == 0


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.999])
def test_a_truncated_file_is_refused(
    flow_file: Path,
    tmp_path: Path,
    kept: float,
    legacy: bool,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = flow_file
    if legacy:
        source = tmp_path / "legacy.pt"
        state = torch.load(flow_file, weights_only=True)
        torch.save(state, source, _use_new_zipfile_serialization=False)
    data = source.read_bytes()
    (tmp_path / "cut.pt").write_bytes(data[: int(len(data) * kept)])
    output = tmp_path / "out.safetensors"
    assert main(["convert", str(tmp_path / "cut.pt"), "-o", str(output)]) == 3
    assert capsys.readouterr().err.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize("container", ["pickle", "torch"])
def test_code_is_not_run(
    tmp_path: Path, container: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trace, path = tmp_path / "trace", tmp_path / "harmful.pt"
    harmful = {"conv1.weight": Harmful(f"touch {trace}")}
    if container == "pickle":
        path.write_bytes(pickle.dumps(harmful))
    else:
        torch.save(harmful, path)
    assert main(["check", str(path)]) == 3
    assert "not loaded because they are code" in capsys.readouterr().err
    assert not trace.exists()


@pytest.mark.parametrize(
    ("arguments", "exit_code", "sentence"),
    [
        (["check", "missing.pt"], 3, "does not exist"),
        (["check", "{file}", "--as", "vgg16"], 3, "holds i3d-flow, not vgg16"),
        (["check", "{file}", "--as", "alexnet"], 2, "--as must be one of i3d-rgb"),
        (["convert", "{file}", "-o", "out.pt"], 2, "must end in .safetensors"),
        (["convert", "{file}", "-o", "/proc/no/o.safetensors"], 6, "cannot be written"),
        (["download", "nobody/nothing", "-o", "."], 2, "is not known; there are pytorch-i3d/"),
    ],
)
def test_refusals_have_their_exit_codes(
    flow_file: Path,
    arguments: list[str],
    exit_code: int,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([part.format(file=flow_file) for part in arguments]) == exit_code
    assert sentence in capsys.readouterr().err


def test_digests_of_a_known_text(tmp_path: Path) -> None:
    # The blob's name is Git's own example; the SHA-256 that of FIPS 180-2 for "abc".
    (tmp_path / "hello").write_bytes(b"what is up, doc?")
    assert file_digests(tmp_path / "hello").git_blob == "bd9dbf5aae1a3862dd1526723246b20206e5fc37"
    (tmp_path / "abc").write_bytes(b"abc")
    assert file_digests(tmp_path / "abc").sha256.startswith("ba7816bf8f01cfea414140de5dae2223")
