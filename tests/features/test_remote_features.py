"""Features at addresses: what is asked of the store, held against what its server counts."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from layouts_on_disk import NAMES, random_features, write_safetensors
from object_store import SECRET, ObjectStore
from toy import train_words, write_toy_dataset

from wsgn.errors import InputError, UsageError
from wsgn.features.cli import main as convert
from wsgn.features.convert import convert_features
from wsgn.features.layouts import open_features
from wsgn.training.cli import main as train

INDEX = "features.index.json"
TARS = ("features-000000.tar", "features-000001.tar")


def put_folder(store: ObjectStore, bucket: str, folder: Path, under: str = "f/") -> str:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            store.put(bucket, f"{under}{path.relative_to(folder).as_posix()}", path.read_bytes())
    return f"s3://{bucket}/{under.rstrip('/')}"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    (folder / "walk").mkdir(parents=True)
    return write_safetensors(folder, random_features() | {"walk/1": random_features()["video_a"]})


@pytest.fixture
def packs(files: Path, tmp_path: Path) -> Path:
    convert_features(open_features(files), tmp_path / "packs", pack_bytes=3_600)
    assert len(list((tmp_path / "packs").iterdir())) == 3
    return tmp_path / "packs"


def require_equal(address: str, files: Path) -> None:
    remote, local = open_features(address), open_features(files)
    assert remote.names == local.names
    for name in local.names:
        assert remote.info(name) == local.info(name)
        np.testing.assert_array_equal(remote.read(name), local.read(name))


def test_a_plain_file_is_one_request_however_often_it_is_read(
    object_store: ObjectStore, files: Path
) -> None:
    address = put_folder(object_store, "feats", files)
    require_equal(address, files)
    gets = object_store.asked("GET", ".safetensors")
    assert len(object_store.requests) == 1 + len(gets)
    assert sorted(one.path for one in gets) == [
        *(f"feats/f/{name}.safetensors" for name in NAMES),
        "feats/f/walk/1.safetensors",
    ]
    sizes = [path.stat().st_size for path in files.rglob("*.safetensors")]
    assert sum(one.num_bytes for one in gets) == sum(sizes)
    object_store.requests.clear()
    # Another process, or the same one once more: a listing.
    require_equal(address, files)
    assert [one.path for one in object_store.requests] == ["feats"]


def test_hidden_folders_are_left_out_as_on_a_disk(object_store: ObjectStore, files: Path) -> None:
    (files / ".trash" / "deep").mkdir(parents=True)
    (files / "walk" / ".trash").mkdir()
    for place in (".trash", ".trash/deep", "walk/.trash"):
        shutil.copy(files / "video_a.safetensors", files / place / "old.safetensors")
    assert not [name for name in open_features(files).names if "old" in name]
    require_equal(put_folder(object_store, "feats", files), files)


def test_a_packed_video_is_one_request_for_its_part(
    object_store: ObjectStore, files: Path, packs: Path
) -> None:
    address = put_folder(object_store, "feats", packs)
    reader = open_features(address)
    infos = [reader.info(name) for name in reader.names]
    # The listing and the index.
    assert [one.path for one in object_store.requests] == ["feats", f"feats/f/{INDEX}"]
    assert infos == [open_features(files).info(name) for name in reader.names]
    object_store.requests.clear()
    for name in reader.names:
        reader.read(name)
    assert len(object_store.requests) == len(reader.names)
    for name, one in zip(reader.names, object_store.requests, strict=True):
        # The file and the header of its member.
        assert one.num_bytes == 512 + (files / f"{name}.safetensors").stat().st_size
    object_store.requests.clear()
    require_equal(address, files)
    require_equal(f"{address}/{INDEX}", files)
    assert [one.path for one in object_store.requests] == ["feats", "feats"]


def test_a_video_that_has_changed_is_asked_for_again(
    object_store: ObjectStore, files: Path
) -> None:
    address = put_folder(object_store, "feats", files)
    require_equal(address, files)
    values = random_features(seed=1)["video_b"]
    write_safetensors(files, {"video_b": values})
    data = (files / "video_b.safetensors").read_bytes()
    assert len(data) == len(object_store.get("feats", "f/video_b.safetensors"))
    object_store.put("feats", "f/video_b.safetensors", data)
    object_store.requests.clear()
    require_equal(address, files)
    assert [one.path for one in object_store.requests] == ["feats", "feats/f/video_b.safetensors"]


def test_what_has_no_room_is_read_and_not_kept(
    object_store: ObjectStore, files: Path, packs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage(files))(10**12, 10**12 - 10**10, 10**10)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    reader = open_features(put_folder(object_store, "feats", packs))
    for _ in range(2):
        for name, values in random_features().items():
            np.testing.assert_array_equal(reader.read(name), values)
    assert len(object_store.asked("GET", ".tar")) == 2 * len(NAMES)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], str]:
    """Puts a folder into a store of another kind; its address."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")
    monkeypatch.setenv("WSGN_CACHE", str(tmp_path / "copies"))
    store = fsspec.filesystem("memory")
    monkeypatch.setattr(type(store), "store", {})
    monkeypatch.setattr(type(store), "pseudo_dirs", [""])

    def put(folder: Path) -> str:
        store.put(str(folder), f"/{folder.name}", recursive=True)
        return f"memory://{folder.name}"

    return put


def test_any_store_will_do(memory: Callable[[Path], str], files: Path, packs: Path) -> None:
    require_equal(memory(files), files)
    require_equal(memory(packs), files)


def read_all(address: str) -> None:
    reader = open_features(address)
    for name in reader.names:
        reader.read(name)


def writing(name: str, data: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(data)


def other_index(folder: Path) -> None:
    document = json.loads((folder / INDEX).read_text())
    document["shards"][0][0] = "../f/features-000000.tar"
    (folder / INDEX).write_text(json.dumps(document))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / TARS[1]).unlink(), f"{TARS[1]} of 3584 bytes .* is missing"),
        (writing(TARS[1], b"x" * 1024), "which has 1024 bytes"),
        (writing(TARS[0], bytes(3584)), "no header of a tar file stands before it"),
        (other_index, "not the name of a tar file"),
        (writing(INDEX, b"\xff"), "cannot be read as UTF-8"),
        (writing(INDEX, b"{}"), "format null"),
        (lambda folder: (folder / INDEX).unlink(), f"no \\*.safetensors files and no {INDEX}"),
        (writing("a.safetensors", b""), "say which with the layout"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    memory: Callable[[Path], str], packs: Path, damage: Callable[[Path], object], words: str
) -> None:
    damage(packs)
    with pytest.raises(InputError, match=words):
        read_all(memory(packs))


def test_a_store_that_fails_is_one_sentence(object_store: ObjectStore, packs: Path) -> None:
    address = put_folder(object_store, "feats", packs)
    for status, words in ((403, "no permission to read"), (500, "cannot be"), (0, "cannot be")):
        object_store.fault = lambda _, path, status=status: (
            status if path.endswith(".tar") else None
        )
        with pytest.raises(InputError, match=words) as caught:
            read_all(address)
        assert f"s3://feats/f/{TARS[0]}" in str(caught.value)
        assert SECRET not in str(caught.value)


def test_nothing_there_and_layouts_of_others_are_refused(
    object_store: ObjectStore, packs: Path
) -> None:
    address = put_folder(object_store, "feats", packs)
    with pytest.raises(InputError, match="there is no s3://feats/none"):
        open_features("s3://feats/none")
    with pytest.raises(InputError, match="there is no s3://none"):
        open_features("s3://none/f")
    with pytest.raises(UsageError, match="is a file: name the folder"):
        open_features(f"{address}/features-000000.tar")
    with pytest.raises(UsageError, match="layout 'npy' is read on this disk only"):
        open_features(address, layout="npy")


def test_a_file_that_is_cut_while_it_comes_is_not_kept(
    object_store: ObjectStore, files: Path
) -> None:
    address = put_folder(object_store, "feats", files)
    reader = open_features(address)
    whole = (files / "video_a.safetensors").read_bytes()
    object_store.put("feats", "f/video_a.safetensors", whole[:-100])
    with pytest.raises(InputError, match="has changed since its folder was listed"):
        reader.read("video_a")
    object_store.put("feats", "f/video_a.safetensors", whole)
    require_equal(address, files)


@pytest.mark.parametrize("packed", [False, True])
def test_a_training_on_addresses_makes_the_model_of_one_on_this_disk(
    object_store: ObjectStore, tmp_path: Path, packed: bool
) -> None:
    (tmp_path / "dataset").mkdir()
    dataset = write_toy_dataset(tmp_path / "dataset")
    folder = dataset / "features"
    if packed:
        convert_features(open_features(folder), tmp_path / "packs", pack_bytes=40_000)
    address = put_folder(object_store, "feats", tmp_path / "packs" if packed else folder)
    quick = ("--steps", "4", "--batch-videos", "8", "--thinning", "1", "--threads", "1", "-q")
    words = train_words(dataset, tmp_path / "local", *quick)
    assert train(words) == 0
    words = train_words(dataset, tmp_path / "remote", *quick, "--cache", "none")
    words[words.index(str(folder))] = address
    assert train(words) == 0
    models = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("local", "remote")]
    assert models[0] == models[1]
    # However many steps and looks at all videos: each video once, a listing, and an index.
    videos = len(json.loads((dataset / "annotations.json").read_text())["database"])
    gets = [one for one in object_store.asked("GET") if one.path.startswith("feats/")]
    assert len({(one.path, one.range) for one in gets}) == len(gets) <= videos + packed
    assert len(object_store.requests) == len(gets) + 1


def test_features_are_converted_from_an_address(
    object_store: ObjectStore, files: Path, packs: Path, tmp_path: Path
) -> None:
    address = put_folder(object_store, "feats", packs)
    assert convert([address, "-o", str(tmp_path / "again"), "--pack", "1GB", "-q"]) == 0
    require_equal(str(tmp_path / "again"), files)


def test_packs_are_written_to_an_address_and_gone_on_with(
    object_store: ObjectStore, files: Path, packs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    object_store.bucket("feats")
    words = [str(files), "-o", "s3://feats/f", "--pack", "3600", "-q"]
    object_store.fault = lambda method, path: (
        500 if method == "PUT" and path.endswith(TARS[1]) else None
    )
    assert convert(words) == 6
    said = capsys.readouterr().err
    assert f"s3://feats/f/{TARS[1]} cannot be written" in said
    assert SECRET not in said
    assert object_store.keys("feats") == [f"f/{TARS[0]}", "f/features.index.unfinished.json"]
    with pytest.raises(InputError, match=f"no {INDEX}"):
        open_features("s3://feats/f")
    object_store.fault = None
    object_store.requests.clear()
    assert convert(words) == 0
    assert object_store.asked("PUT", TARS[0]) == []
    assert object_store.keys("feats") == [f"f/{name}" for name in (*TARS, INDEX)]
    for name in (*TARS, INDEX):
        assert object_store.get("feats", f"f/{name}") == (packs / name).read_bytes()
    require_equal("s3://feats/f", files)
    write_safetensors(files, {"late": random_features()["video_a"]})
    assert convert(words) == 0
    require_equal("s3://feats/f", files)
    assert convert([*words, "--overwrite"]) == 0
    require_equal("s3://feats/f", files)
    assert object_store.unfinished("feats") == []
