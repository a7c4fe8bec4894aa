"""What README.md, docs/ and kernels/README.md point at is there: pages, headings, files, names."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

import pytest
from documents import PAGES, blocks, read_page, spans
from places import ROOT, product
from test_import_rule import imports

FOLDERS = ("wsgn", "runtime", "export", "kernels", "benchmarks", "tests", "tools", "docs")
# What a run writes, in the words of the pages.
NOT_THERE = {"benchmarks/results/gpu-<date>"}
# `wsgn.onnx` is a file, and no module.
FILES = (".onnx", ".plan", ".json")


def dead_links(page: str, text: str) -> Iterator[str]:
    """Links to files of the checkout, and to headings in pages, that lead nowhere."""
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        path, _, heading = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = ROOT / PurePosixPath(page).parent / path if path else ROOT / page
        if not there.exists():
            yield f"{page} links {target}, which does not exist"
        elif heading and heading not in anchors(there.read_text(encoding="utf-8")):
            yield f"{page} links {target}, and there is no such heading"


def anchors(text: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def unknown_names(page: str, text: str) -> Iterator[str]:
    """Files and names of the package between backticks that do not exist."""
    for span in spans(text):
        path = span.split(" ")[0].split(":")[0]
        inside = path.startswith(tuple(f"{folder}/" for folder in FOLDERS))
        stands_for_others = path in NOT_THERE or re.search(r"[*{<]", path)
        if inside and not stands_for_others and not (ROOT / path).exists():
            yield f"{page} names {path}, which does not exist"
        name = re.match(r"wsgn(\.\w+)+", span)
        if name and PurePosixPath(name[0]).suffix not in FILES and not is_name(name[0]):
            yield f"{page} names {name[0]}, which does not exist"


def is_name(dotted: str) -> bool:
    """Whether it is a module, or a name in one (also a field of a class)."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        if find(".".join(parts[:length])):
            value: object = importlib.import_module(".".join(parts[:length]))
            for part in parts[length:]:
                fields = getattr(value, "__dataclass_fields__", {})
                if not hasattr(value, part) and part not in fields:
                    return False
                value = getattr(value, part, None)
            return True
    return False


def find(module: str) -> bool:
    """Whether there is a module of that name."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_points_at_is_there(page: str) -> None:
    text = read_page(page)
    assert [*dead_links(page, text), *unknown_names(page, text)] == []


@pytest.mark.parametrize(
    "planted",
    [
        "[a page](docs/nothing.md)",
        "[a heading](docs/api.md#nothing)",
        "`wsgn/nothing.py`",
        "`wsgn.localization.nothing`",
        "`wsgn.localization.segments.Segment.nothing`",
    ],
)
def test_a_planted_name_is_found(planted: str) -> None:
    assert len([*dead_links("README.md", planted), *unknown_names("README.md", planted)]) == 1


def rows_of_the_picture(text: str) -> list[set[str]]:
    """Names under `wsgn/` in the picture of the layers, from the top down."""
    (picture, *_) = blocks(text)
    below = picture.text.partition("  wsgn/\n")[2]
    # Remarks stand apart, behind at least five spaces.
    named = [re.split(r"\s{5,}", line.strip())[0] for line in below.splitlines()]
    return [set(re.sub(r"\(.*\)|[/,]", "", line).split()) for line in named]


def climbs(rows: list[set[str]], files: Mapping[str, str]) -> set[str]:
    """Parts of wsgn/ that the picture lacks, and imports from a row into a higher one."""
    rank = {name: row for row, names in enumerate(rows) for name in names}
    found = set()
    for path, source in files.items():
        own = PurePosixPath(path).parts[1].removesuffix(".py")
        if not path.startswith("wsgn/") or own == "__init__":
            continue
        if own not in rank:
            found.add(f"{own} is not in the picture")
            continue
        for imported in imports(path, source):
            parts = imported.target.split(".")
            other = parts[1] if parts[0] == "wsgn" and len(parts) > 1 else ""
            if rank.get(other, rank[own]) < rank[own]:
                found.add(f"{own} imports {other}")
    return found


def test_the_picture_of_the_layers_is_that_of_the_imports() -> None:
    rows = rows_of_the_picture(read_page("docs/architecture.md"))
    assert climbs(rows, product()) == set()
    names = {path.name.removesuffix(".py") for path in (ROOT / "wsgn").iterdir()}
    assert set().union(*rows) <= names


def test_a_climb_is_found() -> None:
    rows = [{"training"}, {"model"}]
    planted = {"wsgn/model.py": "import wsgn.training.run", "wsgn/other/a.py": ""}
    assert climbs(rows, planted) == {"model imports training", "other is not in the picture"}
