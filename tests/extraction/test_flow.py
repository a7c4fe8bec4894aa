"""Optical flow: planted motion is found, and the missing extra is named."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from wsgn.errors import MissingExtraError
from wsgn.extraction.cli import main
from wsgn.extraction.flow import with_flow
from wsgn.manifest import FlowInput
from wsgn.video.flow import OpticalFlow

needs_opencv = pytest.mark.skipif(
    "cv2" not in sys.modules and not __import__("importlib.util").util.find_spec("cv2"),
    reason="needs the extra 'flow' (OpenCV)",
)


def moving(num_frames: int, right: int, down: int, side: int = 96) -> list[np.ndarray]:
    """A smooth random pattern that moves by whole pixels."""
    coarse = np.random.default_rng(0).uniform(0, 255, (16, 16))
    grid = np.arange(128) / 8
    phase = np.exp(-((grid[:, None] - np.arange(16)[None]) ** 2))
    large = phase @ coarse @ phase.T / phase.sum(axis=1).mean() ** 2
    frames = []
    for number in range(num_frames):
        rolled = np.roll(large, (number * down, number * right), axis=(0, 1))[:side, :side]
        frames.append(np.repeat(rolled[..., None], 3, axis=2).astype(np.uint8))
    return frames


def dis() -> OpticalFlow:
    return OpticalFlow(FlowInput(method="dis"))


@needs_opencv
@pytest.mark.parametrize("method", ["tvl1", "dis"])
def test_motion_is_found_in_pixels_to_the_right_and_down(method: str) -> None:
    frames = moving(3, right=2, down=-1)
    found = list(with_flow(frames, OpticalFlow(FlowInput(method=method)), 64))
    for frame in found:
        assert frame.flow is not None
        assert frame.flow.shape == (64, 64, 2)
        np.testing.assert_allclose(np.median(frame.flow, axis=(0, 1)), (2, -1), atol=0.2)
    np.testing.assert_array_equal(found[0].image, frames[0][16:80, 16:80])
    # Behind the last frame nothing follows: it keeps the flow of the one before.
    np.testing.assert_array_equal(found[2].flow, found[1].flow)


@needs_opencv
def test_a_frame_that_is_shown_twice_has_not_moved() -> None:
    first, second = moving(2, right=3, down=0)
    flows = [p.flow for p in with_flow([first, first, second, second], dis(), 64)]
    moved = [bool(np.abs(flow).max() > 1) for flow in flows if flow is not None]
    assert moved == [False, True, False, False]


@needs_opencv
def test_a_single_frame_has_no_motion() -> None:
    (frame,) = with_flow(moving(1, 0, 0), dis(), 64)
    assert frame.flow is not None
    assert not frame.flow.any()


@needs_opencv
def test_large_displacements_are_clipped_to_20_pixels() -> None:
    flow = dis()
    flow._algorithm = SimpleNamespace(
        calc=lambda before, after, _: np.array([[[-35.0, 20.5]]], np.float32)
    )
    assert flow.between(np.zeros((1, 1), np.uint8), np.zeros((1, 1), np.uint8)).tolist() == [
        [[-20.0, 20.0]]
    ]


def test_without_opencv_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    (tmp_path / "a.mp4").touch()
    arguments = [str(tmp_path / "a.mp4"), "-o", str(tmp_path / "out"), "--random-weights"]
    assert main([*arguments, "--backbone", "i3d-flow"]) == 2
    assert "pip install 'wsgn[flow]'" in capsys.readouterr().err


def test_tvl1_needs_the_contributed_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = SimpleNamespace(DISOPTICAL_FLOW_PRESET_MEDIUM=1, DISOpticalFlow_create=lambda p: p)
    monkeypatch.setitem(sys.modules, "cv2", plain)
    dis()
    with pytest.raises(MissingExtraError, match="contributed"):
        OpticalFlow(FlowInput(method="tvl1"))
