"""The page of `wsgn-eval --report`: what it holds, and that a browser draws it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from browser import Browser

from wsgn.metrics import cli, read_detections, read_truth
from wsgn.metrics.diagnosis import KINDS, diagnose

PLANTED = "</script><img src=x onerror=alert(1)>"
CLASSES = ("hop", PLANTED)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with truth, detections around it, and the page on them."""
    folder = tmp_path_factory.mktemp("evaluated")
    generator = np.random.default_rng(1)
    database, results = {}, {}
    for number in range(12):
        start = generator.uniform(0, 50)
        label = CLASSES[number % 2]
        name = f"{PLANTED} {number}"
        database[name] = {
            "subset": "test",
            "annotations": [{"label": label, "segment": [start, start + 8]}],
        }
        results[name] = [
            {"label": CLASSES[at % 2], "segment": [begin, begin + 8], "score": float(0.9 - at / 9)}
            for at, begin in enumerate((start + generator.uniform(-9, 9, 6)).clip(0).tolist())
        ]
    (folder / "truth.json").write_text(json.dumps({"database": database}))
    (folder / "found.json").write_text(json.dumps({"results": results}))
    words = [str(folder / "found.json"), "--truth", str(folder / "truth.json")]
    words += ["--protocol", "activitynet", "--report", str(folder / "page.html")]
    assert cli.main([*words, "--tiou", "0.3", "0.5"]) == 0
    return folder


def test_the_page_has_the_numbers_of_the_diagnosis(written: Path) -> None:
    page = (written / "page.html").read_text()
    found = diagnose(
        read_truth(written / "truth.json"), read_detections(written / "found.json"), "activitynet"
    )
    section = page[page.index("Errors by kind at tIoU 0.5") :]
    rows = re.findall(r"<tr><td>([^<]*)</td><td[^>]*>(\d+)</td>", section)
    wanted = dict(zip(KINDS, found.counts.sum(axis=0).tolist(), strict=True))
    assert {name: int(number) for name, number in rows[: len(KINDS) + 1]} == wanted | {
        "missed": int(found.num_missed.sum())
    }
    assert page.index(found.videos[0].name.split(" ")[-1]) > 0
    assert "<img" not in page


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_a_browser_draws_it_without_a_word(
    written: Path, tmp_path: Path, width: int, dark: bool
) -> None:
    browser = Browser(tmp_path / "profile")
    try:
        browser.size(width, 900, dark=dark)
        browser.open((written / "page.html").as_uri())
        # The mean, the kinds by rank, and each class.
        assert browser.run("document.querySelectorAll('.chart svg').length") == 4
        assert browser.run("[...document.querySelectorAll('.lane canvas')].length") > 20
        painted = (
            "[...document.querySelectorAll('.lane:not(.axis):not(.overview) canvas')].every(c => "
            "c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v))"
        )
        browser.wait(painted)
        # Nothing is wider than the screen.
        browser.wait(f"document.documentElement.scrollWidth <= {width}")
        assert browser.complaints == []
    finally:
        browser.close()


@pytest.mark.parametrize(
    "extra", [["--group", "a", "found.json"], ["--protocol", "charades"], ["found.json"]]
)
def test_it_is_of_one_file(written: Path, extra: list[str], capsys: pytest.CaptureFixture[str]):
    words = [str(written / "found.json"), *extra, "--truth", str(written / "truth.json")]
    assert cli.main([*words, "--report", str(written / "other.html")]) == 2
    assert "--report is of one result file" in capsys.readouterr().err
