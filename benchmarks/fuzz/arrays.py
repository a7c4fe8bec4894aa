"""Features of other people: their layouts, headers of .npy files, archives, and names of videos."""

from __future__ import annotations

import io
import struct
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.fuzz.case import Case, Draw, Place, Surface, require_finite, run
from benchmarks.fuzz.damage import damaged_bytes
from benchmarks.fuzz.of_tests import WRITERS, object_array_bytes, python2_pickle, random_features
from wsgn.features.file import read_feature_file

TIME_BASE = ("--frame-rate", "25", "--snippet-length", "16", "--snippet-stride", "16")
_SOURCE = "source"


def convert_words(layout: str | None = None, *, has_times: bool = False) -> tuple[str, ...]:
    """Words of wsgn-convert for the case's features."""
    times = () if has_times else TIME_BASE
    chosen = () if layout is None else ("--layout", layout)
    return (_SOURCE, "-o", "out", *times, *chosen, "-q")


def read_features(place: Place, words: Sequence[str]) -> int:
    """What wsgn-convert writes can be read, and is finite."""
    code = run("wsgn.features.cli", words)
    for path in sorted(Path("out").glob("*.safetensors")):
        _, values = read_feature_file(path)
        require_finite(iter(np.asarray(values, np.float64).ravel().tolist()), path.name)
    return code


def _files_of(layout: str) -> dict[str, bytes]:
    with tempfile.TemporaryDirectory(prefix="wsgn-fuzz-") as name:
        folder = Path(name)
        WRITERS[layout](folder, random_features())
        return {
            f"{_SOURCE}/{path.relative_to(folder)}": path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file()
        }


def _whole_layout(bases: Path) -> Case:
    return Case(files=_files_of("npy"), words=convert_words())


def _damaged_layout(draw: Draw, bases: Path) -> Case:
    layout = draw.choice(tuple(WRITERS))
    files = _files_of(layout)
    names = draw.sample(sorted(files), k=min(len(files), draw.randint(1, 2)))
    for name in names:
        files[name] = damaged_bytes(draw, files[name])
    chosen = draw.choice((None, layout, layout, draw.choice(tuple(WRITERS))))
    words = convert_words(chosen, has_times=layout == "safetensors")
    return Case(files=files, words=words, change=f"bytes in {layout}: {', '.join(names)}")


def npy_file(
    header: str | bytes, data: bytes = bytes(160), version: tuple[int, int] = (1, 0)
) -> bytes:
    """A .npy file around a header of any text."""
    text = header.encode("utf-8", "surrogatepass") if isinstance(header, str) else header
    size = struct.pack(
        "<H" if version[0] == 1 else "<I", len(text) % (2**16 if version[0] == 1 else 2**32)
    )
    return b"\x93NUMPY" + bytes(version) + size + text + data


_DESCRIPTIONS = (
    "'<f4'", "'<f8'", "'<f2'", "'|O'", "'<c8'", "'<U10'", "'|S0'", "'|V100'", "'<M8[s]'", "'<i8'",
    "[('a', '<f4')]", "[('a', '<f4', (1000000000,))]", "'<f4,<f4'", "None", "5", "''", "'x' * 3",
    "('<f4', (3,))", "{'a': 1}", "[]", "'<f99'", "'\\x00'", "'|b1'", "'>f4'",
)  # fmt: skip
_SHAPES = (
    "(5, 8)", "(5, 8)", "(5,)", "()", "(0, 8)", "(5, 0)", "(-5, 8)", "(-1, -1)", "(5.0, 8)",
    "(True, 8)", "('5', 8)", "(5, 8, 1)", "(10**9, 10**9)", "(4611686018427387904, 4)",
    "(99999999999999999999, 8)", "(2147483648, 0)", "(60000000, 0)", "None", "5", "[5, 8]",
    "(" + "1, " * 4000 + ")", "(" * 50 + "5" + ")" * 50, "(5, 8", "(None, 8)", "((5, 8),)",
    "(5, 8j)", "(9" + "0" * 5000 + ", 1)",
)  # fmt: skip
_ORDERS = ("False", "True", "0", "None", "'no'", "[]")


def _whole_npy(bases: Path) -> Case:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (5, 8), }\n"
    return Case(files={f"{_SOURCE}/a.npy": npy_file(header)}, words=convert_words())


def _crafted_npy(draw: Draw, bases: Path) -> Case:
    parts = [
        f"'descr': {draw.choice(_DESCRIPTIONS) if draw.random() < 0.5 else _DESCRIPTIONS[0]}",
        f"'fortran_order': {draw.choice(_ORDERS) if draw.random() < 0.2 else 'False'}",
        f"'shape': {draw.choice(_SHAPES) if draw.random() < 0.7 else _SHAPES[0]}",
    ]
    if draw.random() < 0.2:
        parts[draw.randrange(3)] = draw.choice(
            ("", "'x': 1", "**{}", "'shape': (5, 8), 'shape': (6, 8)", "b'shape': 1", "0x: 1")
        )
    header: bytes = ("{" + ", ".join(parts) + ", }\n").encode()
    if draw.random() < 0.3:
        header = damaged_bytes(draw, header)
    elif draw.random() < 0.1:
        header = draw.choice((b"(" * 60_000, b"{" * 200, b"-" * 9000 + b"1", b"", b" " * 65_000))
    version = draw.choice(((1, 0), (1, 0), (1, 0), (2, 0), (3, 0), (4, 0), (255, 255)))
    data = draw.choice((bytes(160), bytes(159), b"", np.full(40, np.nan, "<f4").tobytes()))
    whole = npy_file("{'descr': '<f4', 'fortran_order': False, 'shape': (5, 8), }\n")
    files = {f"{_SOURCE}/a.npy": whole, f"{_SOURCE}/b.npy": npy_file(header, data, version)}
    return Case(files=files, words=convert_words(draw.choice((None, "npy", "charades"))),
                change=repr(header[:80]))  # fmt: skip


def _archive(entries: dict[str, bytes], *, packed: bool = True) -> bytes:
    holder = io.BytesIO()
    kind = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(holder, "w", kind, compresslevel=1) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return holder.getvalue()


def _bomb(rows: int) -> bytes:
    """An archive with (1, rows, 8) zeros, which are never all in memory here."""
    holder = io.BytesIO()
    with (
        zipfile.ZipFile(holder, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("feature.npy", "w") as file,
    ):
        file.write(npy_file(_header(f"(1, {rows}, 8)"), b""))
        for _ in range(rows // 1000):
            file.write(bytes(32 * 1000))
    return holder.getvalue()


def _header(shape: str, kind: str = "<f4") -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n"


def _npz_case(data: bytes, change: str) -> Case:
    whole = _archive({"feature.npy": npy_file(_header("(1, 5, 8)")), "frame_cnt.npy": npy_file(
        _header("()", "<i8"), bytes(8))})  # fmt: skip
    files = {f"{_SOURCE}/a-rgb.npz": whole, f"{_SOURCE}/b-rgb.npz": data}
    return Case(files=files, words=convert_words("cmcs"), change=change)


def _whole_npz(bases: Path) -> Case:
    return _npz_case(_archive({"feature.npy": npy_file(_header("(1, 5, 8)"))}), "nothing")


def _crafted_npz(draw: Draw, bases: Path) -> Case:
    kind = draw.choice(("zeros", "sizes", "names", "bytes", "header"))
    if kind == "zeros":
        rows = draw.choice((10**6, 4 * 10**6, 12 * 10**6))
        return _npz_case(_bomb(rows), f"{32 * rows} bytes of zeros, packed")
    if kind == "sizes":
        data = _archive({"feature.npy": npy_file(_header("(1, 5, 8)"))})
        place = draw.choice((b"PK\x01\x02", b"PK\x03\x04"))
        start = data.find(place) + draw.choice((18, 20, 22, 24, 26, 28, 30, 42))
        number = draw.choice((0, 1, 2**31, 2**32 - 1, 2**20)).to_bytes(4, "little")
        return _npz_case(data[:start] + number + data[start + 4 :], "sizes in the directory")
    if kind == "names":
        name = draw.choice(
            ("feature", "../feature.npy", "/feature.npy", "Feature.npy", "feature.npy\0")
        )
        entries = {name: npy_file(_header("(1, 5, 8)")), "feature.npy ": b""}
        return _npz_case(_archive(entries), f"the entry {name!r}")
    if kind == "bytes":
        data = _archive({"feature.npy": npy_file(_header("(1, 5, 8)"))}, packed=draw.random() < 0.5)
        return _npz_case(damaged_bytes(draw, data), "bytes")
    shape = draw.choice(_SHAPES)
    data = _archive({"feature.npy": npy_file(_header(shape, draw.choice(("<f4", "|O", "<c8"))))})
    return _npz_case(data, f"the shape {shape[:40]}")


_NAMES = (
    "../../etc/x", "/etc/x", "..", ".", "", "a/b", "a\\b", "a\0b", "\ud800", "x" * 240, "x" * 256,
    "x" * 70_000, "a\nb", "a\x1b[31m", "\u202eabc", "\x9b31m", "é中", " a ", "con", "-q", "a,b",
    "=1+1", "video_a", "VIDEO_A", "~", "$HOME", "%s", "{0}", "a.safetensors", ".hidden",
)  # fmt: skip


def _names_case(names: Sequence[str], change: str, kind: str = "U") -> Case:
    features = random_features()
    arrays = [features[name] for name in features]
    if kind == "S":
        values = np.array([name.encode("utf-8", "surrogatepass") for name in names], dtype="S")
    else:
        values = np.array(names, dtype="U")
    holder = io.BytesIO()
    np.save(holder, values)
    files = {
        f"{_SOURCE}/Madeset-Annotations/videoname.npy": holder.getvalue(),
        f"{_SOURCE}/Madeset-I3D-JOINTFeatures.npy": object_array_bytes(python2_pickle(arrays)),
    }
    return Case(files=files, words=convert_words("wtalc"), change=change)


def _whole_names(bases: Path) -> Case:
    return _names_case(("video_a", "video_b", "video_c"), "nothing")


def _crafted_names(draw: Draw, bases: Path) -> Case:
    names = [draw.choice(_NAMES), draw.choice((*_NAMES, "video_b", "video_b")), "video_c"]
    if draw.random() < 0.2:
        names[1] = "".join(
            chr(draw.choice((draw.randrange(256), draw.randrange(0x3000)))) for _ in range(9)
        )
    return _names_case(names, repr(names)[:100], draw.choice("US"))


SURFACES = (
    Surface(
        name="features, six layouts", share=60, whole=_whole_layout, damaged=_damaged_layout,
        read=read_features,
    ),
    Surface(
        name="npy headers", share=40, whole=_whole_npy, damaged=_crafted_npy, read=read_features
    ),
    Surface(name="npz", share=20, whole=_whole_npz, damaged=_crafted_npz, read=read_features),
    Surface(
        name="video names", share=20, whole=_whole_names, damaged=_crafted_names,
        read=read_features,
    ),
)  # fmt: skip
