"""Features that stay in memory: training sees the same bits, and reads each file once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import CLASSES, SAMPLING, SIZE, ToySource, feature_model, short_training

from wsgn.data.samples import VideoSample, sample_rows
from wsgn.errors import InputError, UsageError
from wsgn.features.dataset import FeatureDataset
from wsgn.features.file import write_feature_file
from wsgn.features.kept import KeptFeatures, open_cache
from wsgn.features.layouts import open_features
from wsgn.features.options import CacheOptions
from wsgn.training.distributed import World
from wsgn.training.trainer import Trainer

NUM_VIDEOS = 9
CPU = torch.device("cpu")
# Bytes of all videos as float16, of most of them, and of none.
PLENTY, SOME, NONE = 1 << 30, 6000, 0


class ReadAnew:
    """The oracle: float32 by NumPy from the file, at every use, thinned afterwards."""

    def __init__(self, toy: ToySource, folder: Path) -> None:
        self._reader = open_features(folder)
        self._dataset = FeatureDataset(self._reader, toy.videos, CLASSES)
        self.classes, self.videos = CLASSES, toy.videos
        self.num_snippets = self._dataset.num_snippets

    def load(self, index: int) -> VideoSample:
        return self._sample(index, np.arange(self.num_snippets(index)))

    def load_for_training(
        self,
        index: int,
        random: np.random.Generator,
        *,
        thinning: int,
        start_range: int | None,
        augment: bool,
    ) -> VideoSample:
        rows = sample_rows(self.num_snippets(index), random, thinning, start_range)
        return self._sample(index, rows)

    def _sample(self, index: int, rows: np.ndarray) -> VideoSample:
        values = self._reader.read(self.videos[index].name)[rows]
        assert values.dtype == np.float32
        times = self._dataset.load(index).times
        return VideoSample(
            inputs=torch.from_numpy(values),
            times=type(times)(
                start_seconds=times.start_seconds[rows],
                centre_seconds=times.centre_seconds[rows],
                end_seconds=times.end_seconds[rows],
                epoch=times.epoch[rows],
            ),
        )


@pytest.fixture(scope="module")
def toy() -> ToySource:
    return ToySource(NUM_VIDEOS)


@pytest.fixture(scope="module")
def folder(toy: ToySource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Most files hold float16, one float32."""
    path = tmp_path_factory.mktemp("features")
    for index, video in enumerate(toy.videos):
        values = toy.load(index).inputs.numpy().astype(np.float32 if index == 4 else np.float16)
        write_feature_file(path / f"{video.name}.safetensors", values, SAMPLING)
    return path


def trained(source: object, world: World | None = None, **train: object) -> list[torch.Tensor]:
    settings: dict[str, object] = {"thinning": 2, "supervision": "frame", "num_steps": 7}
    trainer = Trainer(
        feature_model(standardise=True),
        short_training(**(settings | train)),
        source,  # type: ignore[arg-type]
        world=world,
    )
    found = [trainer.run_step().loss for _ in range(7)]
    trainer.close()
    return [*found, *trainer.model.state_dict().values()]


@pytest.mark.parametrize("limit", [PLENTY, SOME, NONE])
@pytest.mark.parametrize("train", [{}, {"thinning": 1, "accumulate_snippets": 70}, {"thinning": 3}])
def test_training_is_bit_equal_to_one_that_reads_anew(
    toy: ToySource, folder: Path, limit: int, train: dict[str, object]
) -> None:
    cache = KeptFeatures(limit, CPU)
    dataset = FeatureDataset(folder, toy.videos, CLASSES, cache=cache)
    expected, found = trained(ReadAnew(toy, folder), **train), trained(dataset, **train)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
    assert cache.num_bytes <= limit
    assert (cache.num_bytes > 0) == (limit > 0)


def test_going_on_from_a_checkpoint_with_an_empty_cache_is_bit_exact(
    toy: ToySource, folder: Path
) -> None:
    def trainer() -> Trainer:
        dataset = FeatureDataset(folder, toy.videos, CLASSES, cache=KeptFeatures(PLENTY, CPU))
        return Trainer(feature_model(), short_training(), dataset)

    whole, broken, resumed = trainer(), trainer(), trainer()
    for _ in range(3):
        broken.run_step()
    resumed.resume(broken.checkpoint())
    for one, steps in ((whole, 6), (resumed, 3)):
        for _ in range(steps):
            one.run_step()
    for one in (whole, broken, resumed):
        one.close()
    expected = whole.model.state_dict()
    assert all(torch.equal(v, expected[k]) for k, v in resumed.model.state_dict().items())


def test_each_process_loads_its_share_as_without_a_cache(toy: ToySource, folder: Path) -> None:
    def inputs(source: object, rank: int) -> list[torch.Tensor]:
        trainer = Trainer(
            feature_model(),
            short_training(batch_videos=6),
            source,  # type: ignore[arg-type]
        )
        trainer.world = World(rank=rank, size=2)
        batches = trainer._stream()
        return [next(batches).inputs.clone() for _ in range(4)]

    for rank in range(2):
        dataset = FeatureDataset(folder, toy.videos, CLASSES, cache=KeptFeatures(PLENTY, CPU))
        expected, found = inputs(ReadAnew(toy, folder), rank), inputs(dataset, rank)
        assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_file_is_read_once_where_there_is_room(
    toy: ToySource, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = open_features(folder)
    reads: Counter[str] = Counter()
    original = type(reader).read_stored

    def counting(self: object, name: str) -> object:
        reads[name] += 1
        return original(self, name)  # type: ignore[arg-type]

    monkeypatch.setattr(type(reader), "read_stored", counting)
    cache = KeptFeatures(PLENTY, CPU)
    # Two datasets of one reader, as those of training and of held-out videos are.
    for _ in range(2):
        dataset = FeatureDataset(reader, toy.videos, CLASSES, cache=cache)
        for index in range(NUM_VIDEOS):
            dataset.load(index)
    assert set(reads.values()) == {1}
    assert len(reads) == NUM_VIDEOS
    # As stored: two bytes for a value, four in the one file of float32.
    lengths = [toy.num_snippets(index) for index in range(NUM_VIDEOS)]
    assert cache.num_bytes == 2 * SIZE * (sum(lengths) + lengths[4])


def test_frames_are_interpolated_from_what_is_kept(toy: ToySource, folder: Path) -> None:
    options = {"time_unit": "frame", "scoring_step": 3}
    cache = KeptFeatures(PLENTY, CPU)
    plain = FeatureDataset(folder, toy.videos, CLASSES, **options)  # type: ignore[arg-type]
    kept = FeatureDataset(folder, toy.videos, CLASSES, **options, cache=cache)  # type: ignore[arg-type]
    for _ in range(2):
        assert torch.equal(kept.load(2).inputs, plain.load(2).inputs)
    assert cache.num_bytes > 0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named_as_they_are_in_float32(
    tmp_path: Path, bad: float
) -> None:
    values = np.ones((4, SIZE), dtype=np.float16)
    values[2, 5] = bad
    # The largest float16 is finite.
    values[1] = np.finfo(np.float16).max
    sentences = []
    for dtype in (np.float16, np.float32):
        np.save(tmp_path / "toy_0.npy", values.astype(dtype))
        videos = [replace(ToySource(1).videos[0], duration_seconds=None)]
        cache = KeptFeatures(PLENTY, CPU)
        dataset = FeatureDataset(tmp_path, videos, CLASSES, SAMPLING, cache=cache)
        with pytest.raises(InputError, match="1 of 4 snippets, the first is snippet 2") as error:
            dataset.load_for_training(0, np.random.default_rng(0), thinning=2)
        sentences.append(str(error.value))
    assert sentences[0] == sentences[1]


def test_where_features_stay_by_default_and_what_is_refused() -> None:
    assert open_cache(CacheOptions(), CPU, by_frame=False)._device == CPU
    cache = open_cache(CacheOptions(place="none"), CPU, by_frame=False)
    cache.offer("a", torch.zeros(2, 2))
    assert cache.get("a") is None
    with pytest.raises(UsageError, match="add --device cuda"):
        open_cache(CacheOptions(place="device"), CPU, by_frame=False)
    with pytest.raises(UsageError, match="none, ram, device"):
        CacheOptions(place="disk")
