"""The online segmenter equals its offline twin on anything."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from wsgn.localization.online.segmenter import Closing, OnlineSegmenter, Opening, SegmenterRule
from wsgn.localization.online.smoother import Smoother, SnippetScore
from wsgn.localization.segments import Segment, SnippetTimes, scores_to_segments, smoothed_scores

LABELS = ("wave", "jump")


@st.composite
def streams(draw: st.DrawFn) -> tuple[np.ndarray, SnippetTimes, SegmenterRule]:
    """Scores of two classes with plateaus and jumps, uneven times, gaps, any rule."""
    count = draw(st.integers(0, 40))
    values = st.sampled_from([0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0])
    scores = np.array(draw(st.lists(values, min_size=2 * count, max_size=2 * count)))
    steps = draw(st.lists(st.sampled_from([0.25, 0.5, 1.0]), min_size=count, max_size=count))
    starts = np.cumsum([0.0, *steps])[:count]
    jumps = draw(st.lists(st.integers(0, 8), min_size=count, max_size=count))
    epoch = np.cumsum([jump == 8 for jump in jumps]).astype(np.int64)
    opening = draw(st.sampled_from([0.2, 0.25, 0.5]))
    rule = SegmenterRule(
        open_thresholds=np.array([opening, 0.6]),
        close_thresholds=np.array([opening * draw(st.sampled_from([0.5, 1.0])), 0.1]),
        minimum_duration_seconds=draw(st.sampled_from([0.0, 0.4, 1.0])),
        merge_gap_seconds=draw(st.sampled_from([0.0, 0.3, 0.8, 2.0])),
        maximum_duration_seconds=draw(st.sampled_from([math.inf, 1.0, 3.0])),
    )
    times = SnippetTimes(
        start_seconds=starts, centre_seconds=starts + 0.3, end_seconds=starts + 0.6, epoch=epoch
    )
    return scores.reshape(count, 2), times, rule


@settings(max_examples=500)
@given(streams(), st.sampled_from([1, 3, 5]))
def test_online_equals_offline(
    stream: tuple[np.ndarray, SnippetTimes, SegmenterRule], smoothing: int
) -> None:
    scores, times, rule = stream
    smooth = smoothed_scores(scores, times.epoch, smoothing)
    expected = scores_to_segments(smooth, times, LABELS, video_scores=np.zeros(2), **vars(rule))
    smoother, segmenter = Smoother(smoothing, 2), OnlineSegmenter(rule)
    boundaries = []

    def pass_on(snippets: list[SnippetScore]) -> None:
        for snippet in snippets:
            boundaries.extend(segmenter.push(snippet))

    for index in range(len(scores)):
        if index and times.epoch[index] != times.epoch[index - 1]:
            pass_on(smoother.flush())
            boundaries += segmenter.flush("gap")
        pass_on(
            smoother.push(
                SnippetScore(
                    scores=scores[index],
                    start_seconds=times.start_seconds[index],
                    centre_seconds=times.centre_seconds[index],
                    end_seconds=times.end_seconds[index],
                )
            )
        )
    pass_on(smoother.flush())
    boundaries += segmenter.flush("end")
    closings = [b for b in boundaries if isinstance(b, Closing)]
    found = [
        Segment(
            label=LABELS[c.column],
            start_seconds=c.start_seconds,
            end_seconds=c.end_seconds,
            score=c.score,
        )
        for c in sorted(closings, key=lambda c: (c.start_seconds, c.column))
    ]
    assert [(s.label, s.start_seconds, s.end_seconds) for s in found] == [
        (s.label, s.start_seconds, s.end_seconds) for s in expected
    ]
    np.testing.assert_allclose([s.score for s in found], [s.score for s in expected], rtol=1e-12)
    # Every announcement is kept: openings and closings pair up in order, class by class.
    for column in range(2):
        kinds = [type(b) for b in boundaries if b.column == column]
        assert kinds == [Opening, Closing] * (len(kinds) // 2)
