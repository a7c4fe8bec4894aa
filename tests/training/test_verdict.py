"""A training that has died says so; a healthy one says what it is worth."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import (
    SAMPLING,
    SIZE,
    ToySource,
    feature_model,
    short_training,
    train_words,
    write_toy_dataset,
)

from wsgn.errors import TrainingError
from wsgn.features.file import write_feature_file
from wsgn.training.cli import main
from wsgn.training.run import run_training
from wsgn.training.trainer import Trainer
from wsgn.training.verdict import (
    TrainingScore,
    chance_percent,
    class_percent,
    video_map_percent,
)

QUICK = ("--threads", "1", "--thinning", "1", "--steps", "20", "-q")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_dataset(tmp_path_factory.mktemp("dataset"))


def command(dataset: Path, output: Path, *options: str) -> list[str]:
    return train_words(dataset, output, *QUICK, *options)


def test_chance_is_the_mean_over_all_orders() -> None:
    """Two of four videos, one of four, and a class that all have, which tells none apart."""
    labels = np.array([[1, 0, 1], [1, 0, 1], [0, 1, 1], [0, 0, 1]], dtype=float)
    found = []
    for order in itertools.permutations(range(4)):
        precisions = []
        for column in (0, 1):
            hits = labels[list(order), column]
            at = [hits[: rank + 1].mean() for rank in range(4) if hits[rank]]
            precisions.append(np.mean(at))
        found.append(np.mean(precisions))
    assert chance_percent(labels) == pytest.approx(100 * np.mean(found))
    assert np.isnan(chance_percent(labels[:, 2:]))


def test_equal_scores_are_no_order() -> None:
    """Videos by class, one class after the other, all scored alike."""
    labels = np.repeat(np.eye(4), 50, axis=0)
    found = video_map_percent(np.zeros((200, 4)), labels)
    assert found == pytest.approx(chance_percent(labels), abs=5)
    # Class by class it says the same; of what all videos have nothing can be told.
    everywhere = np.column_stack([labels, np.ones(200)])
    each = class_percent(np.zeros((200, 5)), everywhere)
    assert each[:4].mean() == pytest.approx(found)
    assert np.isnan(each[4])
    assert video_map_percent(labels + 0.1, labels) == pytest.approx(100)


def test_a_healthy_training_says_what_it_is_worth(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--preset", "thumos14", "--learning-rate", "0.02")
    assert main(command(dataset, tmp_path, *options)) == 0
    trained, worth = capsys.readouterr().out.splitlines()
    assert trained == f"trained: {tmp_path / 'model.safetensors'}"
    assert worth.startswith("video mAP ")
    assert "chance is" in worth


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        # Logits that are all far from 0, one that is beyond all bounds, a loss that is no number.
        (
            ("--preset", "charades", "--learning-rate", "4", "--dropout", "0"),
            7,
            "tells no class from another",
        ),
        (("--preset", "thumos14", "--learning-rate", "10"), 7, "beyond all bounds"),
        (("--preset", "thumos14", "--learning-rate", "1000"), 3, "not finite"),
    ],
)
def test_a_learning_rate_that_kills_is_named(
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    options: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    assert main(command(dataset, tmp_path, "--warmup-steps", "0", *options)) == code
    said = capsys.readouterr().err
    assert words in said
    assert "lower the learning rate" in said


def test_labels_that_belong_to_other_videos_are_named(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Features of noise: the model is there, and knows nothing."""
    features = tmp_path / "features"
    features.mkdir()
    random = np.random.default_rng(0)
    for path in (dataset / "features").iterdir():
        noise = np.tile(random.normal(size=(1, SIZE)) * 1e-3, (40, 1))
        noise = (noise + random.normal(size=(40, SIZE))).astype(np.float32)
        write_feature_file(features / path.name, noise, SAMPLING)
    words = [str(dataset / "annotations.json"), "--features", str(features)]
    words += ["-o", str(tmp_path / "run"), *QUICK, "--preset", "thumos14", "--dropout", "0.9"]
    assert main([*words, "--learning-rate", "1e-9"]) == 7
    said = capsys.readouterr()
    assert "tells no class from another" in said.err
    assert (tmp_path / "run" / "model.safetensors").is_file()
    assert "trained:" in said.out


def test_features_that_are_all_alike_give_no_model(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features, output = tmp_path / "features", tmp_path / "run"
    features.mkdir()
    output.mkdir()
    # Of an earlier training, which this one takes the place of.
    (output / "model.safetensors").write_bytes(b"earlier")
    for path in (dataset / "features").iterdir():
        write_feature_file(features / path.name, np.ones((40, SIZE), np.float32), SAMPLING)
    words = [str(dataset / "annotations.json"), "--features", str(features), "-o", str(output)]
    assert main([*words, *QUICK, "--overwrite", "--test", "test"]) == 7
    assert "says the same of every snippet" in capsys.readouterr().err
    assert {path.name for path in output.iterdir()} == {
        "losses.csv",
        "last.safetensors",
        "report.html",
    }


@pytest.mark.parametrize("components", [(), ("temporal_softmax",)])
def test_a_zeroed_head_is_refused(tmp_path: Path, components: tuple[str, ...]) -> None:
    trainer = Trainer(feature_model(components=components), short_training(), ToySource(6))
    trainer.step = trainer.train_config.num_steps
    with torch.no_grad():
        for name, parameter in trainer.model.named_parameters():
            if "head.output" in name:
                parameter.zero_()
    with pytest.raises(TrainingError, match=r"no model\.safetensors is written"):
        run_training(trainer, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("found", "chance", "spread", "times", "is_dead"),
    [
        (36.7, 33.1, 0.5, 40, True),
        (60.0, 33.1, 0.5, 40, False),
        (36.7, 33.1, 0.5, 4.9, False),
        (99.0, 33.1, 1e-5, 4.9, True),
        (float("nan"), float("nan"), 0.5, 40, False),
        # Rare classes: an eighth of the way is some.
        (14.0, 2.0, 0.5, 40, False),
    ],
)
def test_what_is_dead(
    found: float, chance: float, spread: float, times: float, is_dead: bool
) -> None:
    score = TrainingScore(
        video_map_percent=found, chance_percent=chance, spread=spread, times_seen=times
    )
    assert score.tells_nothing == is_dead


def test_a_model_of_few_steps_is_not_judged(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(dataset, tmp_path, "--steps", "1", "--learning-rate", "1e-9")) == 0
    assert "each seen 0.7 times" in capsys.readouterr().out
    document = json.loads((dataset / "annotations.json").read_text())
    assert sum(video["subset"] == "train" for video in document["database"].values()) == 24
