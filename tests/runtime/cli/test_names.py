"""Names of strangers through the command: they fail alone, and reach files and terminals safely."""

from __future__ import annotations

import csv
import errno
import json
import os
import shutil
import subprocess
from pathlib import Path

import planted
import pytest
from outcomes import Run

from wsgn.runtime.cli import outputs
from wsgn.runtime.cli.main import main
from wsgn.runtime.writers import Writer, open_writer, result_errors
from wsgn.support.files import AtomicFile

FORMATS = "json,jsonl,csv,vtt,srt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    return tmp_path / "videos"


def results(folder: Path) -> dict[str, list[dict[str, object]]]:
    found: dict[str, list[dict[str, object]]] = json.loads(folder.read_text())["results"]
    return found


# Of 251 and of 240 bytes; with an ending, the second has exactly as many as files may have.
LONG_NAMES = ("n" * 251, "\u4e2d" * 80, "a" * 200 + "\u4e2d" * 17)


@pytest.mark.parametrize("name", LONG_NAMES)
def test_a_long_name_is_shortened_in_files_and_whole_in_results(
    run: Run, folder: Path, video_path: Path, tmp_path: Path, name: str
) -> None:
    for stem in (name, "zz"):
        shutil.copy(video_path, folder / f"{stem}.mp4")
    out = tmp_path / "out"
    outcome = run(folder, "-o", out, "-f", FORMATS, "--save-scores")
    assert outcome.code == 0
    files = sorted(path.name for path in out.iterdir())
    assert len(files) == 14
    assert all(len(os.fsencode(file)) <= 255 for file in files)
    assert results(out / "detections.json").keys() == {name, "zz"}
    (short,) = [file for file in files if file.endswith(".json") and file[0] == name[0]]
    assert results(out / short).keys() == {name}
    # Run again, it is known by the same file.
    assert run(folder, "-o", out, "-f", FORMATS, "--save-scores").code == 6
    assert run(folder, "-o", out, "-f", FORMATS, "--resume").of_type("source") == []


def test_names_that_begin_alike_stay_apart(
    run: Run, folder: Path, video_path: Path, tmp_path: Path
) -> None:
    for ending in ("x", "y"):
        shutil.copy(video_path, folder / f"{'n' * 245}{ending}.mp4")
    assert run(folder, "-o", tmp_path / "out").code == 0
    assert len(list((tmp_path / "out").iterdir())) == 2


def test_a_dry_run_names_the_files_that_a_run_writes(
    capsys: pytest.CaptureFixture[str], engine_path: Path, folder: Path, video_path: Path
) -> None:
    shutil.copy(video_path, folder / f"{'n' * 251}.mp4")
    arguments = [str(folder), "-e", str(engine_path), "-o", str(folder.parent / "out")]
    assert main([*arguments, "--dry-run"]) == 0
    named = capsys.readouterr().out.rstrip("\n").partition(" -> ")[2]
    assert main(arguments) == 0
    assert [str(path) for path in (folder.parent / "out").iterdir()] == [named]


def test_a_result_that_cannot_have_its_name_fails_alone(
    run: Run,
    capsys: pytest.CaptureFixture[str],
    engine_path: Path,
    folder: Path,
    video_path: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    for stem in ("a", "b", "c/d"):
        (folder / stem).parent.mkdir(exist_ok=True)
        shutil.copy(video_path, folder / f"{stem}.mp4")
    # A folder where a result should be, and a file where a folder should be.
    (out / "a.jsonl").mkdir(parents=True)
    (out / "c").touch()
    outcome = run(folder, "-o", out, "--overwrite")
    assert outcome.code == 4
    assert [event["code"] for event in outcome.of_type("error")] == ["output", "output"]
    assert "a folder has this name" in outcome.err
    assert "2 of 3 sources failed" in outcome.err
    assert (out / "b.jsonl").is_file()
    arguments = [str(folder), "-e", str(engine_path), "-o", str(out), "--overwrite", "--dry-run"]
    assert main(arguments) == 4
    assert "a folder has this name" in capsys.readouterr().out
    assert run(folder / "a.mp4", "-o", out, "--overwrite").code == 6


def test_a_video_named_like_a_partial_result_is_not_lost(
    run: Run, folder: Path, video_path: Path, tmp_path: Path
) -> None:
    for name in ("a.partial.mp4", "a.mp4"):
        shutil.copy(video_path, folder / name)
    out = tmp_path / "out"
    assert run(folder / "a.partial.mp4", folder / "a.mp4", "-o", out).code == 0
    assert {path.name for path in out.iterdir()} == {"a.partial.mp4.jsonl", "a.jsonl"}


def test_a_name_with_surrogates_fails_alone(
    run: Run, folder: Path, video_path: Path, tmp_path: Path
) -> None:
    names = (folder / "\ud800.mp4", folder / "\udfff.txt", folder / "a\udfffb*")
    outcome = run(*names, video_path, "-o", tmp_path / "out", "-f", "json,csv")
    assert outcome.code == 4
    assert len(outcome.of_type("error")) == 3
    assert len(list((tmp_path / "out").iterdir())) == 4


@pytest.mark.parametrize(
    "line", ["a\0b.mp4", "n" * 300 + ".mp4", "d" * 300 + "/a.mp4", "no\x1b[2Jsuch.mp4", "x" * 5000]
)
def test_a_line_of_a_list_that_names_nothing_fails_alone(
    run: Run, folder: Path, video_path: Path, tmp_path: Path, line: str
) -> None:
    shutil.copy(video_path, folder / "good.mp4")
    (folder / "list.txt").write_text(f"{line}\ngood.mp4\n")
    outcome = run(folder / "list.txt", "-o", tmp_path / "out", "-f", "json")
    assert outcome.code == 4
    assert "1 of 2 sources failed" in outcome.err
    assert "\x1b" not in outcome.err
    assert "\0" not in outcome.err
    assert results(tmp_path / "out" / "good.json").keys() == {"good"}


def test_a_name_with_what_unicode_calls_a_line_end_is_one_line_of_a_list(
    run: Run, folder: Path, video_path: Path
) -> None:
    name = "a\u2028b\x85c\x0bd.mp4"
    shutil.copy(video_path, folder / name)
    (folder / "list.txt").write_text(f"{name}\r\n", encoding="utf-8")
    assert run(folder / "list.txt").code == 0


NAMES = (
    "e\x1b[31mX\x1b[0m",
    "new\nline",
    "cr\rlf",
    "c1\x9b2J",
    "rtl\u202egpj",
    "tab\tby",
    "=1+1",
    '@"quoted"',
    "per%cent%s",
    "a,b;c",
    "{braces}",
    "sp ace ",
    "h\u00e9\u4e2d\U0001f469",
)


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_name_is_safe_on_terminals_and_exact_in_files(
    run: Run, folder: Path, video_path: Path, tmp_path: Path, name: str
) -> None:
    shutil.copy(video_path, folder / f"{name}.mp4")
    (folder / f"{name}bad.mp4").touch()
    out = tmp_path / "out"
    outcome = run(folder, "-o", out, "-f", FORMATS)
    assert outcome.code == 4
    assert not set(outcome.err) & set("\x1b\x9b\r\t\u202e")
    assert len(outcome.err.splitlines()) == 2 + (name[0] in "=@")
    assert results(out / f"{name}.json").keys() == {name}
    with (out / f"{name}.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert {row[0] for row in rows[1:]} == {name}
    assert json.loads((out / f"{name}.jsonl").read_text().splitlines()[1])["source"] == str(
        folder / f"{name}.mp4"
    )


def test_a_formula_in_a_csv_stays_what_it_is_and_is_told(
    run: Run, folder: Path, video_path: Path, tmp_path: Path
) -> None:
    shutil.copy(video_path, folder / "=1+1.mp4")
    manifest = planted.planted_manifest(classes=("-red", "@green", "+blue"))
    engine = planted.write_engine(tmp_path / "formulas.onnx", manifest)
    outcome = run(folder, "-o", tmp_path / "out", "-f", "csv", engine=engine)
    assert outcome.code == 0
    assert "begin like formulas" in outcome.err
    with (tmp_path / "out" / "=1+1.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["video"], row["label"]) for row in rows] == [("=1+1", "-red"), ("=1+1", "+blue")]
    assert run(folder, "-o", tmp_path / "json", "-f", "json", engine=engine).err == ""


def test_keys_of_nested_results_are_file_names_where_these_are_unique(
    run: Run, folder: Path, video_path: Path, tmp_path: Path
) -> None:
    for name in ("test/a", "validation/b", "x/same", "y/same"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(video_path, folder / f"{name}.mp4")
    out = tmp_path / "out"
    assert run(folder, "-o", out, "-f", "json").code == 0
    assert results(out / "detections.json").keys() == {"a", "b", "x/same", "y/same"}
    assert results(out / "test" / "a.json").keys() == {"a"}
    # A result of an earlier run of one file is taken over under the name that it has now.
    shutil.rmtree(out)
    assert run(folder / "x" / "same.mp4", "-o", out / "x", "-f", "json").code == 0
    assert run(folder, "-o", out, "-f", "json", "--resume").code == 0
    assert results(out / "detections.json").keys() == {"a", "b", "x/same", "y/same"}


def test_a_fifo_in_a_folder_does_not_stop_the_batch(
    run: Run, folder: Path, video_path: Path
) -> None:
    for name in ("a", "c"):
        shutil.copy(video_path, folder / f"{name}.mp4")
    os.mkfifo(folder / "b.mp4")
    outcome = run(folder)
    assert outcome.code == 0
    assert len(outcome.of_type("source")) == 2
    assert "left out: 1 FIFO, socket or device" in outcome.err


def test_a_fifo_that_is_named_is_read_and_the_wait_is_told(
    command: list[str],
    environment: dict[str, str],
    engine_path: Path,
    folder: Path,
) -> None:
    video = planted.write_video(folder / "v.mkv")
    os.mkfifo(folder / "pipe")
    process = subprocess.Popen(
        [*command, str(folder / "pipe"), "-e", str(engine_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stderr is not None
    assert b"waiting for somebody to write into it" in process.stderr.readline()
    (folder / "pipe").write_bytes(video.read_bytes())
    out, _ = process.communicate()
    assert process.returncode == 0
    assert b'"label": "blue"' in out


def test_devices_are_refused_in_a_sentence(run: Run, video_path: Path) -> None:
    outcome = run("/dev/null", "/dev/zero", video_path)
    assert outcome.code == 4
    assert [event["code"] for event in outcome.of_type("error")] == ["no_file", "no_file"]


@pytest.mark.parametrize("locale", [{"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "ascii"}])
@pytest.mark.parametrize("dry", [False, True])
def test_a_terminal_without_these_letters_gets_escapes(
    command: list[str],
    environment: dict[str, str],
    engine_path: Path,
    folder: Path,
    video_path: Path,
    locale: dict[str, str],
    dry: bool,
) -> None:
    pty = pytest.importorskip("pty", reason="needs pseudo-terminals")
    shutil.copy(video_path, folder / "\u00fcn\u00ef\u4e2d.mp4")
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [*command, *(["--dry-run"] if dry else []), "\u00fcn\u00ef\u4e2d.mp4", "-e", engine_path],
        cwd=folder,
        stdout=theirs,
        stderr=subprocess.PIPE,
        env=environment | {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"} | locale,
        check=False,
    )
    os.close(theirs)
    assert (done.returncode, done.stderr) == (0, b"")
    shown = os.read(ours, 4096).decode("ascii")
    os.close(ours)
    assert shown.startswith(r"\u00fcn\u00ef\u4e2d.mp4")


@pytest.mark.parametrize("name", ["\ud800", "a\0b", "x\x1b[2J", "c\x9b", "two\nlines", ""])
def test_a_class_name_that_is_no_word_is_refused_with_the_engine(
    run: Run, video_path: Path, tmp_path: Path, name: str
) -> None:
    manifest = planted.planted_manifest(classes=("red", "green", "teal"))
    text = manifest.to_json().replace('"teal"', json.dumps(name))
    model = planted.planted_model(manifest)
    (entry,) = [entry for entry in model.metadata_props if "teal" in entry.value]
    entry.value = text
    engine = tmp_path / "odd.onnx"
    engine.write_bytes(model.SerializeToString())
    outcome = run(video_path, engine=engine)
    assert (outcome.code, outcome.events) == (5, [])
    assert "holds a control character" in outcome.err or "is no text" in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_label_with_commas_can_be_chosen(run: Run, video_path: Path, tmp_path: Path) -> None:
    names = ("talk to (e.g., self, a group)", "close (e.g., a door, a box)", "wave")
    engine = planted.write_engine(tmp_path / "ava.onnx", planted.planted_manifest(classes=names))
    outcome = run(video_path, "--labels", f"{names[0]},wave", engine=engine)
    assert [event["label"] for event in outcome.of_type("segment") if event["final"]] == [
        names[0],
        "wave",
    ]
    assert outcome.events[0]["parameters"]["labels"] == [names[0], "wave"]
    refused = run(video_path, "--labels", "close (e.g., a box)", engine=engine)
    assert refused.code == 2
    assert "does not know 'a box)', 'close (e.g.'; its classes are 'talk to (e.g., self" in (
        refused.err
    )


def test_a_folder_with_shorter_names_gets_shorter_ones(
    run: Run,
    folder: Path,
    video_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on an encrypted folder (eCryptfs)."""
    monkeypatch.setattr(os, "pathconf", lambda path, name: 143)
    shutil.copy(video_path, folder / f"{'n' * 140}.mp4")
    out = tmp_path / "out"
    assert run(folder, "-o", out, "-f", FORMATS, "--save-scores").code == 0
    assert max(len(path.name) for path in out.iterdir()) <= 143 - len(".partial")
    monkeypatch.undo()
    # A temporary name is never longer than these.
    with AtomicFile(out / f"{'n' * 124}.scores.npz") as file:
        assert len(file.temporary.name) <= 143


@pytest.mark.parametrize(("number", "code"), [(errno.EILSEQ, 4), (errno.ENOSPC, 6)])
def test_what_the_disk_refuses_leaves_nothing_behind(
    run: Run,
    folder: Path,
    video_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
) -> None:
    """A name fails its source, a full disk the run."""
    for stem in ("a", "b"):
        shutil.copy(video_path, folder / f"{stem}.mp4")

    def refuse(kind: str, path: Path, name: str) -> Writer:
        if path.name == "a.csv":
            with result_errors(path):
                raise OSError(number, os.strerror(number))
        return open_writer(kind, path, name)

    monkeypatch.setattr(outputs, "open_writer", refuse)
    outcome = run(folder, "-o", tmp_path / "out", "-f", "jsonl,csv")
    assert outcome.code == code
    left = {path.name for path in (tmp_path / "out").glob("*")}
    assert left == ({"b.jsonl", "b.csv", "detections.csv"} if code == 4 else set())
