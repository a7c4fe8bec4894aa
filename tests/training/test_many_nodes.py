"""Two nodes of two processes train one model as one process does, and end together."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from commands import run_python
from joint_trainings import LIMITS, OPTIONS, VICTIM, node_of
from ranks import NUM_RANKS, RankEnd
from test_accumulation import ALL_METHODS, assert_same, gradients, model, without_dropout
from torchrun import torchrun
from toy import ToySource, short_training, train_words, write_toy_dataset

from wsgn.checkpoint import load_checkpoint
from wsgn.training.cli import main
from wsgn.training.trainer import Trainer

NUM_TRAINING = 24


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_dataset(tmp_path_factory.mktemp("dataset"), NUM_TRAINING, 6)


@pytest.fixture(scope="module")
def joint(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with what `joint_trainings` has done."""
    damaged, other = (tmp_path_factory.mktemp(name) for name in ("damaged", "other"))
    for copy in (damaged, other):
        shutil.copytree(dataset, copy, dirs_exist_ok=True)
    for path in (damaged / "features").iterdir():
        # The last value is not a number.
        path.write_bytes(path.read_bytes()[:-4] + b"\x00\x00\xc0\x7f")
    annotations = json.loads((other / "annotations.json").read_text())
    annotations["database"]["toy_3"]["labels"] = ["bow"]
    (other / "annotations.json").write_text(json.dumps(annotations))
    folder = tmp_path_factory.mktemp("joint")
    program = Path(__file__).with_name("joint_trainings.py")
    paths = f"{program.parent}:{program.parents[1]}"
    done = run_python(
        program,
        dataset,
        damaged,
        other,
        folder,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return folder


def ends(joint: Path, name: str) -> list[RankEnd]:
    """How the ranks of a training ended."""
    return [RankEnd(**one) for one in json.loads((joint / name / "ends.json").read_text())]


def assert_ended(joint: Path, name: str, code: int, *words: str) -> None:
    """All ranks ended with a code, and on each node one of them said so in one sentence."""
    found = ends(joint, name)
    assert [end.code for end in found] == [code] * NUM_RANKS, found
    for node in range(2):
        said = [end.err for rank, end in enumerate(found) if node_of(rank) == node and end.err]
        assert len(said) == 1, found
        assert said[0].count("\n") == 1, said
        assert said[0].startswith("wsgn-train: ")
        for word in words:
            assert word in said[0]


def assert_same_weights(found: Path, expected: Path, *, tolerance: float) -> None:
    """Two checkpoints are equal, up to a share of each tensor's largest value."""
    ours, theirs = load_checkpoint(found).weights, load_checkpoint(expected).weights
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        scale = value.abs().max().item()
        torch.testing.assert_close(ours[name], value, rtol=0, atol=tolerance * scale, msg=name)


@pytest.mark.parametrize("name", ALL_METHODS)
def test_four_processes_have_the_gradient_of_one(joint: Path, name: str) -> None:
    assert [end.code for end in ends(joint, "methods")] == [0] * NUM_RANKS
    method, train = ALL_METHODS[name]
    alone = Trainer(model(method), short_training(**train), ToySource(9))
    expected = gradients(without_dropout(alone))
    for limit, rank in product(LIMITS, range(NUM_RANKS)):
        path = joint / "methods" / f"{name}_{limit}_{rank}.pt"
        assert_same(torch.load(path, weights_only=True), expected)


def test_torchrun_on_two_nodes_trains_the_model_of_one_process(
    dataset: Path, tmp_path: Path
) -> None:
    outputs = [tmp_path / f"node{number}" for number in range(2)]
    options = (*OPTIONS, "--dropout", "0")
    alone = tmp_path / "alone"
    assert main(train_words(dataset, alone, *options)) == 0
    torchrun([["wsgn.training.cli", *train_words(dataset, output, *options)] for output in outputs])
    assert_same_weights(
        outputs[0] / "model.safetensors", alone / "model.safetensors", tolerance=1e-4
    )
    losses = [
        np.genfromtxt(folder / "losses.csv", delimiter=",", names=True)["loss"]
        for folder in (outputs[0], alone)
    ]
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)
    assert not outputs[1].exists()


def test_the_first_process_alone_writes_and_speaks(joint: Path) -> None:
    found = ends(joint, "whole")
    assert [end.code for end in found] == [0] * NUM_RANKS
    assert "trained: " in found[0].out
    assert [end.out for end in found[1:]] == [""] * (NUM_RANKS - 1)
    assert not (joint / "whole" / "node1").exists()


def opened(joint: Path, name: str) -> list[Counter[str]]:
    """How often each rank opened each feature file."""
    logs = [joint / name / f"opened_{rank}" for rank in range(NUM_RANKS)]
    return [Counter(log.read_text().split()) for log in logs]


def test_headers_are_read_once_and_values_where_they_are_needed(joint: Path) -> None:
    header, values = (counts.total() for counts in opened(joint, "alone")[:2])
    first, *others = opened(joint, "whole")
    videos = {f"toy_{number}.safetensors" for number in range(NUM_TRAINING)}
    # It finishes the model on all videos, which it keeps.
    assert first == dict.fromkeys(videos, header + values)
    for counts in others:
        assert set(counts.values()) == {values}
        assert set(counts) < videos


def test_a_rank_that_is_killed_ends_all_in_a_sentence(joint: Path) -> None:
    found = ends(joint, "killed")
    assert [end.code for end in found] == [1, 1, -9, 1]
    for end in (found[0].err + found[1].err, found[3].err):
        assert end.count("\n") == 1
        assert f"rank {VICTIM} on " in end
        assert "ended without a word" in end
    assert found[VICTIM].err == ""


def test_a_killed_training_is_resumed_from_the_first_node_s_checkpoint(joint: Path) -> None:
    """Bit for bit, though the other node has none."""
    assert [end.code for end in ends(joint, "resumed")] == [0] * NUM_RANKS
    lines = (joint / "killed" / "node0" / "losses.csv").read_text().splitlines()
    whole = (joint / "whole" / "node0" / "losses.csv").read_text().splitlines()
    steps = [[line.split(",")[:4] for line in log] for log in (lines, whole)]
    assert steps[0] == steps[1]
    assert_same_weights(
        joint / "killed" / "node0" / "model.safetensors",
        joint / "whole" / "node0" / "model.safetensors",
        tolerance=0,
    )
    assert not (joint / "killed" / "node1").exists()


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("damaged_file", 3, "holds NaN or infinite values"),
        ("other_annotations", 2, "differs from rank 0"),
        ("damaged_checkpoint", 3, "is damaged"),
        ("terminated", 143, "terminated"),
        ("interrupted", 130, "interrupted"),
        ("in_an_upload", 3, "a planted fault"),
    ],
)
def test_what_ends_one_rank_ends_all(joint: Path, name: str, code: int, words: str) -> None:
    assert_ended(joint, name, code, words)


def test_a_full_disk_of_the_first_rank_ends_all(joint: Path) -> None:
    found = ends(joint, "full_disk")
    assert [end.code for end in found] == [6] * NUM_RANKS
    # Its own words went to a file that could not grow.
    assert "rank 0 on " in found[2].err + found[3].err
    assert "losses.csv cannot be written" in found[2].err + found[3].err
