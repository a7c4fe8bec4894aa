"""What benchmarks of live runs compare, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import av
import pytest

from benchmarks.holdings import GrowthError, Holding, require_flat
from benchmarks.live_runs import Span, compare, read_number, sample_clip

FOUND = [
    Span(label="bow", start_seconds=1.0, end_seconds=4.0),
    Span(label="wave", start_seconds=2.0, end_seconds=3.0),
    Span(label="bow", start_seconds=31.1, end_seconds=34.2),
]


def test_the_nearest_of_the_same_label_stands_for_a_segment() -> None:
    expected = [FOUND[0], FOUND[1], FOUND[0].later(30)]
    compared = compare(expected, FOUND)
    assert (compared.missing, compared.extra) == ((), ())
    assert compared.largest_difference_seconds == pytest.approx(0.2)


def test_what_is_missing_twice_there_or_elsewhere_is_named() -> None:
    expected = [*FOUND, FOUND[2].later(30)]
    late = replace(FOUND[2], end_seconds=36.0)
    compared = compare(expected, [FOUND[0], FOUND[0], late, FOUND[2].later(30)])
    assert compared.missing == (FOUND[1], FOUND[2])
    assert compared.extra == (FOUND[0], late)
    excused = compare(expected, [FOUND[0], FOUND[0], late, FOUND[2].later(30)], [(3.5, 36.0)])
    assert (excused.excused, excused.missing, excused.extra) == (1, (FOUND[1],), ())


def test_the_number_in_a_picture_outlives_the_camera_and_the_engine_size() -> None:
    clip = sample_clip(numbered=True)
    decoder = av.CodecContext.create("h264", "r")
    for number, picture in enumerate(clip.pictures[:200]):
        for frame in decoder.decode(av.Packet(picture.annexb)):
            small = frame.reformat(64, 48, "rgb24", interpolation="AREA").to_ndarray()
            assert read_number(small) == number
    assert number == 199


@pytest.mark.parametrize("grows", ["megabytes", "descriptors", "threads"])
def test_what_grows_is_found(grows: str) -> None:
    flat = [
        Holding(at=at, megabytes=100.0, descriptors=9, threads=4, processor_seconds=at)
        for at in range(40)
    ]
    require_flat(flat)
    with pytest.raises(GrowthError, match=f"^{grows} grew from"):
        require_flat([replace(one, **{grows: getattr(one, grows) + one.at}) for one in flat])
