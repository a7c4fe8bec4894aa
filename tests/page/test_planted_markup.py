"""Markup in labels and names of videos does nothing on any page that results become."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from toy import CLASSES, train_words, write_toy_dataset

from wsgn.runtime.cli.main import main
from wsgn.training.cli import main as train

# A name of a file has no slash.
NAME = "<img src=x onerror=alert(1)>&quot;'"
LABEL = f"</script><script>alert(2)</script><!--{NAME}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def assert_nothing_runs(browser: Browser, page: Path) -> None:
    browser.complaints.clear()
    browser.size(1280, 900)
    browser.open(page.as_uri())
    browser.run("new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    assert browser.complaints == []
    assert browser.run("document.querySelectorAll('img').length") == 0
    # It is there, as text.
    shown = browser.run("document.body.innerText")
    assert NAME in shown
    assert LABEL in shown


def test_on_the_pages_of_a_training(browser: Browser, tmp_path: Path) -> None:
    dataset = write_toy_dataset(tmp_path, num_training=12, num_test=3)
    path = dataset / "annotations.json"
    document = json.loads(path.read_text().replace(json.dumps(CLASSES[0]), json.dumps(LABEL)))
    database = document["database"] = {
        f"{NAME}{name}": video for name, video in document["database"].items()
    }
    path.write_text(json.dumps(document))
    for features in list((dataset / "features").iterdir()):
        features.rename(features.with_name(f"{NAME}{features.name}"))
    assert any(LABEL in video["labels"] for video in database.values())
    options = ("--steps", "2", "--validate", "0.5", "--test", "test", "-q")
    assert train(train_words(dataset, tmp_path / "run", *options)) in (0, 7)
    assert_nothing_runs(browser, tmp_path / "run" / "report.html")
    assert_nothing_runs(browser, tmp_path / "run" / "evaluation.html")


def test_on_pages_of_results_and_their_index(browser: Browser, tmp_path: Path) -> None:
    for number in range(2):
        lines: list[dict[str, object]] = [
            {"type": "run", "engine": LABEL},
            {"type": "source", "duration_seconds": 12.0, "codec": LABEL},
            {"type": "gap", "from_seconds": 6.0, "to_seconds": 10.0, "cause": LABEL},
            {"type": "warning", "code": LABEL, "message": LABEL, "at_seconds": 1.0},
            {"type": "segment", "id": 1, "label": LABEL, "start_seconds": 2.0, "end_seconds": 4.0,
             "score": 0.5, "final": True},
        ]  # fmt: skip
        path = tmp_path / f"{NAME}{number}.jsonl"
        source = f"/{NAME}{number}.mp4"
        path.write_text("".join(json.dumps(line | {"source": source}) + "\n" for line in lines))
    assert main(["report", str(tmp_path), "-o", str(tmp_path / "pages")]) == 0
    pages = sorted((tmp_path / "pages").iterdir())
    assert len(pages) == 3
    for page in pages:
        assert_nothing_runs(browser, page)
