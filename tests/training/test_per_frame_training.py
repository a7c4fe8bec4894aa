"""A small network on single frames, trained end to end on small synthetic videos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import CompactConfig
from wsgn.data.annotations import VideoAnnotation, label_vector
from wsgn.data.frames import FrameDataset
from wsgn.errors import UsageError
from wsgn.manifest import FrameInput, Sampling
from wsgn.metrics.classification import evaluate_classification
from wsgn.prediction.predict import predict_videos
from wsgn.presets import preset
from wsgn.synthetic.videos.config import SceneConfig, TimelineConfig
from wsgn.synthetic.videos.video import make_video
from wsgn.training.trainer import Trainer

# Poses that single frames tell apart after a few steps.
CLASSES = ("jump", "turn")
SCENE = SceneConfig(width=64, height=64, frame_rate=5)
TIMELINE = TimelineConfig(min_duration_seconds=8, max_duration_seconds=10)
SAMPLING = Sampling(frame_rate=5.0, snippet_length=5, snippet_stride=2)
FRAMES = FrameInput(height=24, width=32)
NUM_TRAIN, NUM_TEST = 24, 24


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FrameDataset]:
    """Videos of one action each, of both subsets."""
    pytest.importorskip("PIL", reason="synthetic videos need the extra 'synthetic'")
    folder = tmp_path_factory.mktemp("synthetic")
    found = {}
    for split, (subset, count) in enumerate((("train", NUM_TRAIN), ("test", NUM_TEST))):
        videos = []
        for index in range(count):
            name, label = f"{subset}_{index}", CLASSES[index % 2]
            truth = make_video(folder / f"{name}.mp4", (split, index), SCENE, TIMELINE, [label] * 2)
            videos.append(
                VideoAnnotation(
                    name=name,
                    subset=subset,
                    duration_seconds=truth.duration_seconds,
                    labels=(label,),
                    segments=(),
                )
            )
        found[subset] = FrameDataset(folder, videos, CLASSES, SAMPLING, FRAMES, progress=False)
    return found


def video_map(trainer: Trainer, source: FrameDataset) -> float:
    """Classification mAP in percent."""
    scores = [one.pooled_scores() for one in predict_videos(trainer.finished().build(), source)]
    labels = [label_vector(video.labels, CLASSES) for video in source.videos]
    return evaluate_classification(np.stack(scores), np.stack(labels)).map_percent


def test_the_loss_falls_and_unseen_videos_are_told_apart(sources: dict[str, FrameDataset]) -> None:
    chosen = preset("frames")
    model = chosen.model.on(classes=CLASSES, sampling=SAMPLING, frames=FRAMES)
    training = replace(chosen.train, num_steps=100, warmup_steps=5, schedule="constant")
    trainer = Trainer(model, training, sources["train"])
    losses = [float(trainer.run_step().loss) for _ in range(training.num_steps)]
    trainer.close()
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])
    # Half of the videos show each class: chance is about 55, four seeds had 90 to 97.
    assert video_map(trainer, sources["test"]) > 75


def test_what_stands_still_gives_the_same_features() -> None:
    torch.manual_seed(0)
    backbone = build_backbone(CompactConfig(frame_by_frame=True), 4).eval()
    scenes = torch.randint(0, 256, (3, 1, 24, 32, 3), dtype=torch.uint8).expand(-1, 4, -1, -1, -1)
    with torch.inference_mode():
        features = backbone(scenes)
        moved = backbone(torch.cat([scenes[:, :3], scenes[:, :1].roll(4, dims=3)], dim=1))
    torch.testing.assert_close(features, features[:1].expand(3, -1))
    assert float((moved - features).abs().max()) > 1e-2


def test_the_order_of_frames_does_not_matter() -> None:
    """Each frame is seen by itself: only which frames a snippet holds can count."""
    torch.manual_seed(0)
    backbone = build_backbone(CompactConfig(frame_by_frame=True), 4).eval()
    frames = torch.randint(0, 256, (2, 4, 24, 32, 3), dtype=torch.uint8)
    with torch.inference_mode():
        torch.testing.assert_close(backbone(frames.flip(1)), backbone(frames), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("frame_by_frame", [False, True])
def test_one_frame_alone_is_refused(frame_by_frame: bool) -> None:
    with pytest.raises(UsageError, match="2 frames or more, got 1"):
        build_backbone(CompactConfig(frame_by_frame=frame_by_frame), 1)
