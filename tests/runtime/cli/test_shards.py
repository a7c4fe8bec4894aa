"""Shards of a run, merged, are the run."""

from __future__ import annotations

from pathlib import Path

import planted
import pytest
from contents import contents
from outcomes import Run

from wsgn.runtime.cli.main import main

FORMATS = "jsonl,json,csv,html"


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five short videos, one that is none, and two that share a name."""
    folder = tmp_path_factory.mktemp("sharded")
    for number in range(4):
        colours = ("black", "green", "black") if number % 2 else ("green", "black")
        planted.write_video(folder / f"v{number}.mp4", tuple((one, 1.5) for one in colours))
    planted.write_video(folder / "v1.mkv", (("black", 1.0), ("green", 2.0)))
    (folder / "v0b.mp4").write_bytes(b"no video")
    return folder


def test_merged_shards_are_byte_for_byte_one_run(run: Run, videos: Path, tmp_path: Path) -> None:
    one, shards = tmp_path / "one", tmp_path / "shards"
    # The first source is the last by its name.
    sources = (videos / "v3.mp4", videos)
    assert run(*sources, "-o", one, "-f", FORMATS).code == 4
    codes = [
        run(*sources, "-o", shards, "-f", FORMATS, "--shard", f"{number}/8").code
        for number in range(1, 9)
    ]
    # The third has only what is no video; the last two have nothing at all.
    assert codes == [0, 0, 3, 0, 0, 0, 0, 0]
    assert main(["merge", str(shards)]) == 4
    assert contents(shards, keep=lambda name: "-of-" not in name) == contents(one)
    assert len(contents(one)) == 5 * 4 + 3
    # What is there is not replaced unasked, and pages of a folder leave the shards' documents out.
    assert main(["merge", str(shards)]) == 6
    assert main(["report", str(shards), "-o", str(tmp_path / "pages")]) == 0
    assert len(list((tmp_path / "pages").glob("*.html"))) == 5 + 1


def test_what_is_no_whole_run_is_not_merged(
    run: Run, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def merged(folder: Path) -> str:
        assert main(["merge", str(folder)]) == 3
        return capsys.readouterr().err

    out = tmp_path / "out"
    out.mkdir()
    assert "no record of a shard" in merged(out)
    run(videos, "-o", out, "-f", "json", "--shard", "1/2")
    assert "1 of 2 shards have not come to their end: 2/2" in merged(out)
    run(videos, "-o", out, "-f", "json", "--shard", "2/2", "--threshold", "0.9")
    assert "options of detection" in merged(out)
    run(videos, "-o", out, "-f", "json", "--shard", "2/2", "--overwrite")
    (out / "detections.2-of-2.shard").write_text('{"schema": "wsgn.shard/1", "number": 2}')
    assert "no record of a shard" in merged(out)


@pytest.mark.parametrize("kind", ["json", "csv"])
def test_a_document_that_has_lost_its_end_is_not_merged(
    run: Run, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    def shard(*more: str) -> None:
        run(videos, "-o", tmp_path, "-f", "json,csv", "--shard", "2/2", *more)

    run(videos, "-o", tmp_path, "-f", "json,csv", "--shard", "1/2")
    shard()
    document = tmp_path / f"detections.2-of-2.{kind}"
    whole = document.read_bytes()
    # What is left of a CSV is one.
    document.write_bytes(whole[: whole.rindex(b"\n", 0, -1) + 1])
    capsys.readouterr()
    assert main(["merge", str(tmp_path)]) == 3
    assert f"{document.name}' is not what its shard wrote" in capsys.readouterr().err
    # Nothing of the other format either.
    assert not list(tmp_path.glob("detections.json")) + list(tmp_path.glob("detections.csv"))
    shard("--resume")
    assert document.read_bytes() == whole
    assert main(["merge", str(tmp_path)]) == 4


def test_a_shard_that_starts_again_takes_its_record_back(
    run: Run,
    videos: Path,
    engine_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def shard(*more: str) -> int:
        return run(videos, "-o", tmp_path, "-f", "json", "--shard", "1/1", *more).code

    assert shard() == 4
    record = tmp_path / "detections.1-of-1.shard"
    before = record.read_bytes()
    # Nothing is decoded where --resume finds all, and the record is the same.
    assert shard("--resume") == 4
    assert record.read_bytes() == before
    # A run that ends early leaves none, and a dry run keeps what is there.
    dry = [videos, "-o", tmp_path, "-f", "json", "--shard", "1/1", "--resume", "--dry-run"]
    assert main([*map(str, dry), "-e", str(engine_path)]) == 4
    assert "v0.json" in capsys.readouterr().out
    assert record.exists()

    def fail(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wsgn.runtime.cli.source_work.SourceWork.run", fail)
    assert shard("--overwrite") == 130
    assert not record.exists()
