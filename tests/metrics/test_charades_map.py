"""Charades localization: every rule with an answer computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from wsgn.errors import InputError, OutputError, UsageError
from wsgn.metrics import (
    CharadesTruth,
    evaluate_charades,
    read_charades,
    read_submission,
    write_submission,
)
from wsgn.metrics.charades_files import points_seconds

HEADER = "id,subject,scene,quality,relevance,verified,script,objects,descriptions,actions,length\n"


def csv_file(tmp_path, *rows):
    path = tmp_path / "charades.csv"
    path.write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return path


def row(video="AAAAA", actions="", length="25.0"):
    return (
        f'{video},S1,Kitchen,6,7,Yes,"He eats, then ""sits"".",cup;bed,"A, b;C",{actions},{length}'
    )


def submission(tmp_path, *lines):
    path = tmp_path / "submission.txt"
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def scores_line(video, point, first, rest=0.0):
    return f"{video} {point} {first} " + " ".join([str(rest)] * 156)


def truth_of(labels):
    """A truth of one video per (25, 157) array."""
    ids = tuple(f"V{index}" for index in range(len(labels)))
    return CharadesTruth(video_ids=ids, length_seconds=np.ones(len(ids)), labels=np.stack(labels))


def test_points_start_at_0_and_end_before_the_length():
    assert points_seconds(50.0) == pytest.approx([2.0 * j for j in range(25)])


def test_points_divide_before_they_multiply():
    # 3 / 25 * 30.42 and 3 * 30.42 / 25 are different floats; the protocol's is the first.
    lengths = np.arange(1, 4000) / 100
    exact = [[j / 25 * length for j in range(25)] for length in lengths.tolist()]
    assert np.array([points_seconds(length) for length in lengths.tolist()]).tolist() == exact
    other = [[j * length / 25 for j in range(25)] for length in lengths.tolist()]
    assert exact != other


def test_a_label_holds_at_both_of_its_ends(tmp_path):
    # Points are whole seconds 0 to 24.
    path = csv_file(tmp_path, row(actions="c092 3.00 5.00;c147 0.00 0.00;c000 5.01 5.99"))
    labels = read_charades(path).labels[0]
    assert np.flatnonzero(labels[:, 92]).tolist() == [3, 4, 5]
    assert np.flatnonzero(labels[:, 147]).tolist() == [0]
    assert not labels[:, 0].any()


def test_the_same_class_may_hold_twice(tmp_path):
    path = csv_file(tmp_path, row(actions="c001 1.00 2.00;c001 2.00 3.00;c001 20.00 99.00"))
    held = np.flatnonzero(read_charades(path).labels[0, :, 1]).tolist()
    assert held == [1, 2, 3, 20, 21, 22, 23, 24]


def test_quoted_commas_and_empty_actions_are_read(tmp_path):
    truth = read_charades(csv_file(tmp_path, row("AAAAA", "c010 0 9"), row("BBBBB", "", "7.5")))
    assert truth.video_ids == ("AAAAA", "BBBBB")
    assert truth.length_seconds.tolist() == [25.0, 7.5]
    assert truth.labels[0].sum() == 10
    assert not truth.labels[1].any()


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("id,actions\nA,\n", "length"),
        (HEADER + row(length="long") + "\n", "'long'"),
        (HEADER + row(length="0") + "\n", "'AAAAA' is not a positive"),
        (HEADER + row(actions="c157 1 2") + "\n", "c157"),
        (HEADER + row(actions="c001 1") + "\n", "c001 1"),
        (HEADER + row(actions="c001 1 x") + "\n", "'x'"),
        (HEADER + row() + "\n" + row() + "\n", "twice"),
        (HEADER, "no videos"),
        ("", "no column"),
    ],
)
def test_a_wrong_csv_is_one_sentence(tmp_path, text, word):
    path = tmp_path / "wrong.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=word) as caught:
        read_charades(path)
    assert "\n" not in str(caught.value)


def test_a_binary_csv_and_a_missing_one_are_input_errors(tmp_path):
    path = tmp_path / "wrong.csv"
    path.write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(InputError):
        read_charades(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_charades(tmp_path / "none.csv")


def test_average_precision_of_one_class():
    labels = np.zeros((25, 157), dtype=np.bool_)
    labels[[0, 2], 5] = True
    scores = np.zeros((1, 25, 157))
    scores[0, :4, 5] = [0.9, 0.8, 0.7, 0.6]
    result = evaluate_charades(truth_of([labels]), scores)
    # Ranks 1 and 3.
    assert result.average_precision_percent[5] == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert result.map_percent == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert (result.num_videos, result.num_points) == (1, 25)


def test_weighted_ap_weights_by_positives():
    labels = np.zeros((25, 157), dtype=np.bool_)
    labels[:3, 0] = True  # AP 1 with 3 positives
    labels[24, 1] = True  # rank 25 of 25: AP 1/25 with 1 positive
    result = evaluate_charades(truth_of([labels]), np.zeros((1, 25, 157)))
    assert result.map_percent == pytest.approx(100 * (1 + 1 / 25) / 2)
    assert result.weighted_ap_percent == pytest.approx(100 * (3 * 1 + 1 / 25) / 4)


def test_equal_scores_keep_the_order_of_rows():
    labels = np.zeros((4, 25, 157), dtype=np.bool_)
    labels[2, 0, 0] = True  # row 50 of 100, counted from 0
    result = evaluate_charades(truth_of(list(labels)), np.zeros((4, 25, 157)))
    assert result.map_percent == pytest.approx(100 / 51)


def test_missing_rows_come_last(tmp_path):
    # Only points 2 and 3 are submitted, with negative scores; the positive point 1 is missing and
    # heads the missing ones: rank 3.
    labels = np.zeros((25, 157), dtype=np.bool_)
    labels[0, 0] = True
    path = submission(tmp_path, scores_line("V0", 2, -5.0), scores_line("V0", 3, -9.5))
    scores = read_submission(path, ["V0"])
    assert scores[0, 1, 0] == -5.0
    assert np.isneginf(scores[0, [0, *range(3, 25)]]).all()
    assert evaluate_charades(truth_of([labels]), scores).map_percent == pytest.approx(100 / 3)


@pytest.mark.parametrize(
    ("only_scored", "words", "expected"),
    [
        # The positive point of the second video heads what has no score: rank 26.
        (False, "3 videos, 75 points (2 of the videos have no scores and rank last)", 100 / 26),
        # No video that counts has the class.
        (True, "1 videos, 25 points (2 more have no scores and are left out)", np.nan),
    ],
)
def test_videos_without_scores_are_counted(only_scored: bool, words: str, expected: float) -> None:
    labels = np.zeros((3, 25, 157), dtype=np.bool_)
    labels[0, 0, 0] = True
    labels[1, 0, 1] = True
    scores = np.full((3, 25, 157), -np.inf)
    scores[0] = np.arange(25, 0, -1)[:, None]
    result = evaluate_charades(truth_of(list(labels)), scores, only_scored=only_scored)
    assert result.counted == words
    assert result.average_precision_percent[0] == 100
    assert result.num_unscored == 2
    np.testing.assert_allclose(result.average_precision_percent[1], expected)


def test_scores_of_none_of_the_videos_are_refused() -> None:
    truth = truth_of([np.ones((25, 157), dtype=np.bool_)])
    with pytest.raises(InputError, match="None of the 1 videos has a score"):
        evaluate_charades(truth, np.full((1, 25, 157), -np.inf))


def test_points_count_from_1(tmp_path):
    lines = [scores_line("V0", point, point) for point in range(1, 26)]
    scores = read_submission(submission(tmp_path, *lines), ["V0"])
    assert scores[0, :, 0].tolist() == list(range(1, 26))


def test_a_file_that_counts_from_0_is_shifted(tmp_path):
    # The second video has no point 0 of its own; the file as a whole decides.
    lines = [scores_line("V0", point, point) for point in range(25)] + [scores_line("V1", 24, 7)]
    scores = read_submission(submission(tmp_path, *lines), ["V0", "V1"])
    assert scores[0, :, 0].tolist() == list(range(25))
    assert scores[1, 24, 0] == 7


def test_a_written_submission_reads_the_same(tmp_path):
    scores = np.random.default_rng(0).normal(size=(2, 25, 157))
    scores[1, 3] = -np.inf
    scores[1, 4, 5] = -np.inf
    path = tmp_path / "out.txt"
    write_submission(path, ["V0", "V1"], scores)
    assert len(path.read_text().splitlines()) == 49
    np.testing.assert_array_equal(read_submission(path, ["V0", "V1"]), scores)


@pytest.mark.parametrize(
    ("lines", "word"),
    [
        (["V0 1 0.5 0.5"], "4 fields"),
        ([scores_line("V0", 1, "high")], "high"),
        ([scores_line("V0", 1, "nan")], "NaN"),
        ([scores_line("V0", 26, 1)], "'26'"),
        ([scores_line("V0", 1.5, 1)], "'1.5'"),
        ([scores_line("V0", "x", 1)], "'x'"),
        ([scores_line("V9", 1, 1)], "'V9'"),
        ([scores_line("V0", 1, 1), scores_line("V0", 1, 1)], "twice"),
        ([scores_line("V0", 0, 1), scores_line("V0", 25, 1)], "0 and 25"),
    ],
)
def test_a_wrong_submission_is_one_sentence(tmp_path, lines, word):
    with pytest.raises(InputError, match=word) as caught:
        read_submission(submission(tmp_path, *lines), ["V0"])
    assert "\n" not in str(caught.value)


def test_scores_of_a_wrong_shape_are_refused(tmp_path):
    truth = truth_of([np.ones((25, 157), dtype=np.bool_)])
    with pytest.raises(UsageError):
        evaluate_charades(truth, np.zeros((2, 25, 157)))
    with pytest.raises(UsageError):
        write_submission(tmp_path / "x", ["V0"], np.zeros((1, 24, 157)))
    with pytest.raises(UsageError):
        write_submission(tmp_path / "x", ["V 0"], np.zeros((1, 25, 157)))
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        write_submission(tmp_path / "file" / "x", ["V0"], np.zeros((1, 25, 157)))
    with pytest.raises(InputError):
        evaluate_charades(truth_of([np.zeros((25, 157), dtype=np.bool_)]), np.zeros((1, 25, 157)))
