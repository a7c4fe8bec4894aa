"""States of live sources on the disk: what can be gone on from, and what is begun anew."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from wsgn.engines.open import describe_engine
from wsgn.errors import OutputError
from wsgn.runtime.cli import live_state
from wsgn.runtime.cli.console import Console
from wsgn.runtime.cli.live_state import StateSaver
from wsgn.runtime.demo import engine_path
from wsgn.runtime.live.options import StreamOptions
from wsgn.runtime.live.saved import SavedStream
from wsgn.runtime.live.state_files import StateFiles
from wsgn.runtime.streaming.detector import Detector, SnippetLogits
from wsgn.runtime.streaming.rules import DetectorOptions
from wsgn.video.live.items import LivePosition
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.source import LiveSource

MANIFEST = describe_engine(engine_path("demo")).manifest
OPTIONS = StreamOptions()
DOOR = LiveSource(name="door", address="rtsp://cam:secret@10.0.0.5/1")
NOW = 1_800_000_000.0


def seen(options: StreamOptions = OPTIONS, num_snippets: int = 20) -> SavedStream:
    """The state after some snippets with open segments."""
    detector = Detector(MANIFEST, options.detector)
    starts = np.arange(num_snippets) * 0.4
    shape = (num_snippets, len(MANIFEST.classes))
    logits = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    detector.push(
        SnippetLogits(
            start_seconds=starts,
            epoch=np.zeros(num_snippets, dtype=np.int64),
            selection_logits=logits,
            class_probabilities=np.full(shape, 0.9, dtype=np.float32),
        )
    )
    return SavedStream(
        detector=detector.state_dict(),
        position=LivePosition(media_seconds=8.4, unix_seconds=NOW, epoch=3),
        counters={"frames": 84, "lost_seconds": 1.5},
    )


class Disk:
    """A folder of states, whose clock the test sets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = NOW

    def files(self, sha256: str = "e", options: StreamOptions = OPTIONS) -> StateFiles:
        return StateFiles(self.folder, sha256, options, MANIFEST, wall=lambda: self.now)

    def save(self, *, ended: bool = False, source: LiveSource = DOOR) -> SavedStream:
        files = self.files()
        files.load([source])
        saved = seen()
        files.save({source.name: saved}, ended=ended)
        return saved

    def load(
        self, files: StateFiles | None = None, source: LiveSource = DOOR
    ) -> tuple[SavedStream | None, str | None]:
        """What is found of the source, and the code of the warning."""
        found, warnings = (files or self.files()).load([source])
        assert [warning.source for warning in warnings] in ([], [source.name])
        return found.get(source.name), warnings[0].code if warnings else None


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


def test_what_an_orderly_end_saved_is_found_as_it_was(disk: Disk) -> None:
    saved = disk.save(ended=True)
    found, warning = disk.load()
    assert warning is None
    assert found is not None
    assert (found.position, dict(found.counters)) == (saved.position, dict(saved.counters))
    assert found.detector.keys() == saved.detector.keys()
    for key, array in saved.detector.items():
        np.testing.assert_array_equal(found.detector[key], array)
    assert [path.name for path in disk.folder.iterdir()] == ["door.state.npz"]


def test_ids_that_a_killed_run_may_have_given_are_not_given_again(disk: Disk) -> None:
    saved = disk.save()
    found, _ = disk.load()
    assert found is not None
    assert found.detector["next_id"] == saved.detector["next_id"] + 1000
    Detector(MANIFEST, OPTIONS.detector).restore(dict(found.detector))


def test_no_credential_is_in_the_file_and_a_new_password_is_no_new_camera(disk: Disk) -> None:
    disk.save()
    assert b"secret" not in (disk.folder / "door.state.npz").read_bytes()
    _, warning = disk.load(source=replace(DOOR, address="rtsp://cam:other@10.0.0.5/1"))
    assert warning is None


@pytest.mark.parametrize(
    ("saved", "later", "is_same"),
    [
        ("?cam_id=1", "?cam_id=1", True),
        ("?cam_id=1", "?cam_id=2", False),
        ("?cam_id=1", "", False),
        ("", "?cam_id=1", False),
        ("?cam_id=1&token=hUnter2", "?cam_id=1&token=other", True),
        ("?channel=1", "?channel=2", False),
    ],
)
def test_an_unknown_part_of_a_query_may_be_another_camera(
    disk: Disk, saved: str, later: str, is_same: bool
) -> None:
    disk.save(source=replace(DOOR, address=f"http://10.0.0.5/video{saved}"))
    _, warning = disk.load(source=replace(DOOR, address=f"http://10.0.0.5/video{later}"))
    assert warning == (None if is_same else "state_of_another_run")


def test_what_is_unknown_of_an_address_is_kept_as_passwords_are(disk: Disk) -> None:
    documents = []
    for _ in range(2):
        disk.save(source=replace(DOOR, address="http://10.0.0.5/video?hUnter2"))
        with np.load(disk.folder / "door.state.npz") as archive:
            documents.append(json.loads(archive["document"].tobytes()))
    one, other = documents
    assert "hUnter2" not in json.dumps(documents)
    assert one["address_sha256"] == other["address_sha256"]
    # Salted: nobody can look it up, or see that two cameras have one key.
    assert one["query_pbkdf2"] != other["query_pbkdf2"]


CAUSAL = StreamOptions(detector=DetectorOptions(scores="causal"))
SECOND_STREAM = StreamOptions(live=LiveOptions(stream=1))
SLOW = StreamOptions(live=LiveOptions(timeout_seconds=60.0))


@pytest.mark.parametrize(
    ("load", "code"),
    [
        (lambda disk: disk.load(disk.files("other")), "state_of_another_run"),
        (lambda disk: disk.load(disk.files(options=CAUSAL)), "state_of_another_run"),
        (lambda disk: disk.load(disk.files(options=SECOND_STREAM)), "state_of_another_run"),
        (
            lambda disk: disk.load(source=replace(DOOR, address="rtsp://10.0.0.6/1")),
            "state_of_another_run",
        ),
        # How it is read says nothing of what was learned.
        (lambda disk: disk.load(disk.files(options=SLOW)), None),
    ],
)
def test_a_state_of_another_run_is_kept_and_not_used(
    disk: Disk, load: Callable[[Disk], tuple[SavedStream | None, str | None]], code: str | None
) -> None:
    disk.save()
    found, warning = load(disk)
    assert warning == code
    assert (found is None) == (code is not None)
    kept = "door.state.npz" if code is None else "door.state.npz.old"
    assert [path.name for path in disk.folder.iterdir()] == [kept]


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(0.0, None), (86_000.0, None), (87_000.0, "state_too_old"), (-0.5, None), (-5, "clock_moved")],
)
def test_what_lies_a_day_back_or_ahead_is_begun_anew(
    disk: Disk, seconds: float, code: str | None
) -> None:
    disk.save()
    disk.now += seconds
    found, warning = disk.load()
    assert warning == code
    assert (found is None) == (code is not None)


@pytest.mark.parametrize("damage", ["empty", "cut", "turned", "text", "counters", "detector"])
def test_a_state_that_cannot_be_read_is_begun_anew(disk: Disk, damage: str) -> None:
    disk.save()
    path = disk.folder / "door.state.npz"
    data = path.read_bytes()
    if damage in ("counters", "detector"):
        saved = seen()
        if damage == "counters":
            saved = replace(saved, counters={"frames": "many"})  # type: ignore[dict-item]
        else:
            saved = replace(saved, detector=dict(saved.detector) | {"epoch": np.array(7)})
        files = disk.files()
        files.load([DOOR])
        files.save({"door": saved})
    else:
        middle = len(data) // 2
        turned = data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]
        damaged = {"empty": b"", "cut": data[:middle], "turned": turned, "text": b"state"}
        path.write_bytes(damaged[damage])
    found, warning = disk.load()
    assert (found, warning) == (None, "state_unreadable")
    assert (disk.folder / "door.state.npz.old").exists()


def test_a_state_is_one_runs_at_a_time_and_killed_runs_keep_nobody_out(disk: Disk) -> None:
    yard = replace(DOOR, name="yard")
    (disk.folder / "door.state.lock").touch()
    first, second = disk.files(), disk.files()
    for _ in range(2):
        first.lock([DOOR])
    with pytest.raises(OutputError, match=r"another run keeps the state of 'door'.*--state"):
        second.lock([yard, DOOR])
    # None of them: the other one is free.
    first.lock([yard])
    first.release_all(but=["yard"])
    second.lock([DOOR])
    with pytest.raises(OutputError, match="'yard'"):
        second.lock([yard])
    for files in (first, second):
        files.release_all()
    assert [*disk.folder.iterdir()] == []


def test_a_folder_that_cannot_be_written_is_said_at_the_start(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="the state in"):
        Disk(tmp_path / "file" / "state").files().make_folder()


def test_saving_fails_once_in_words_and_goes_on(
    disk: Disk, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    files = disk.files()
    files.load([DOOR])
    on_disk: list[object] = []
    saver = StateSaver(files, Console(), on_saved=on_disk.append, monotonic=lambda: now[0])
    blocked = disk.folder / "door.state.npz"
    blocked.mkdir()
    saver.tick(lambda: {"door": seen()})
    assert saver._thread is None
    for _ in range(3):
        now[0] += 10.1
        saver.tick(lambda: {"door": seen()})
        assert saver._thread is not None
        saver._thread.join()
    saver.finish({"door": seen()}, ended=True)
    assert saver.failed
    assert on_disk == []
    assert capsys.readouterr().err.count("cannot be written") == 1
    blocked.rmdir()
    last = {"door": seen()}
    now[0] += 10.1
    saver.tick(lambda: last)
    assert saver._thread is not None
    saver._thread.join()
    assert on_disk == []
    saver.tick(dict)
    assert on_disk == [last]
    saver.finish({"door": seen()}, ended=True)
    assert not saver.failed
    assert len(on_disk) == 2
    assert disk.load()[1] is None


def test_a_disk_that_hangs_keeps_no_run(
    disk: Disk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_state, "_PATIENCE_SECONDS", 0.01)
    answers = threading.Event()
    files = disk.files()
    monkeypatch.setattr(files, "save", lambda *_, **__: answers.wait())
    now = [0.0]
    saver = StateSaver(files, Console(), monotonic=lambda: now[0])
    now[0] = 11.0
    saver.tick(dict)
    saver.finish({}, ended=True)
    assert saver.failed
    assert "the disk hangs" in capsys.readouterr().err
    answers.set()
