"""The command `wsgn-eval`: outputs, exit codes, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import HANG_SECONDS
from places import ROOT

from wsgn.metrics import cli

TRUTH = {
    "database": {
        "video_test_1": {"subset": "test", "annotations": [{"label": "run", "segment": [0, 16]}]},
        "t": {"subset": "training", "annotations": [{"label": "hop", "segment": [0, 16]}]},
    }
}
FOUND = {"results": {"video_test_1": [{"label": "run", "segment": [0, 12], "score": 0.5}]}}


@pytest.fixture
def files(tmp_path):
    (tmp_path / "truth.json").write_text(json.dumps(TRUTH))
    (tmp_path / "found.json").write_text(json.dumps(FOUND))
    return [str(tmp_path / "found.json"), "--truth", str(tmp_path / "truth.json")]


def command(arguments, environment=None, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
    return subprocess.run(
        [sys.executable, "-m", "wsgn.metrics", *arguments],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
        **options,
    )


def test_json_has_everything_that_a_comparison_needs(files, capsys):
    assert cli.main([*files, "--tiou", "0.5", "0.8", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out) == {
        "protocol": "activitynet-210",
        "videos": 1,
        "instances": 1,
        "tiou": [0.5, 0.8],
        "mAP": [100.0, 0.0],
        "average_mAP": 50.0,
        "per_class": {"run": [100.0, 0.0]},
    }
    assert captured.err == ""


def test_the_table_names_protocol_and_counts(files, capsys):
    assert cli.main([*files, "--protocol", "wtalc", "--tiou", "0.5", "0.8", "--per-class"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "wtalc: 1 videos, 1 instances, 1 classes"
    assert lines[1].split() == ["tIoU", "0.5", "0.8", "average"]
    assert lines[2].split() == ["mAP", "(%)", "100.00", "0.00", "50.00"]
    assert lines[3].split() == ["run", "100.00", "0.00", "50.00"]


def test_detections_in_other_subsets_are_ignored_with_a_word(files, capsys):
    both = {"results": {**FOUND["results"], "t": FOUND["results"]["video_test_1"]}}
    Path(files[0]).write_text(json.dumps(both))
    assert cli.main([*files, "--json", "--tiou", "0.5"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["mAP"] == [100.0]
    assert "Ignored 1 of 2 detections" in captured.err


def test_the_subset_must_be_named_where_nothing_says_which(files, capsys):
    assert cli.main([*files, "--protocol", "activitynet"]) == 2
    assert "--subset" in capsys.readouterr().err
    assert cli.main([*files, "--protocol", "activitynet", "--subset", "test"]) == 0


@pytest.mark.parametrize(
    ("extra", "code"),
    [
        (["--protocol", "none"], 2),
        (["--tiou", "2"], 2),
        (["--tiou", "nan"], 2),
        (["--tiou", "x"], 2),
        (["--wrong"], 2),
        (["--subset", "validation"], 3),
        (["--truth", "/nowhere.json"], 3),
        (["--truth", "/dev/null"], 3),
        (["--help"], 0),
    ],
)
def test_exit_codes(files, capsys, extra, code):
    assert cli.main([*files, *extra]) == code
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    assert bool(captured.err) == (code != 0)


def test_missing_arguments_are_a_usage_error(capsys):
    assert cli.main([]) == 2
    assert "required" in capsys.readouterr().err


@pytest.mark.parametrize(
    "found",
    [
        "not json",
        '{"results": {"video_test_1": [{"label": "swim", "segment": [0, 1], "score": 1}]}}',
        '{"results": {"x": [{"label": "run", "segment": [0, 1], "score": 1}]}}',
        '{"results": {"video_test_1": [{"label": "run", "segment": [1, 0], "score": 1}]}}',
        '{"results": {"video_test_1": [{"label": "run", "segment": [0, 1], "score": NaN}]}}',
        '{"results": {"video_test_1": [{"label": "\\ud800", "segment": [0, 1], "score": 1}]}}',
    ],
)
def test_a_wrong_file_is_one_line_and_exit_code_3(files, found):
    Path(files[0]).write_text(found)
    done = command(files, stdout=subprocess.PIPE)
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("wsgn-eval: ")
    assert done.stderr.count("\n") == 1


def test_labels_beyond_the_terminal_are_escaped(files):
    label = "sauter à la corde \U0001f469 \u202e"
    truth = {
        "database": {
            "video_test_1": {"subset": "s", "annotations": [{"label": label, "segment": [0, 1]}]}
        }
    }
    Path(files[2]).write_text(json.dumps(truth))
    Path(files[0]).write_text(json.dumps({"results": {}}))
    for encoding, shown in (
        ("ascii", r"\u00e0 la corde \ud83d\udc69 \u202e"),
        ("utf-8", r"\u202e"),
    ):
        done = command(
            [*files, "--per-class"],
            stdout=subprocess.PIPE,
            environment={"PYTHONIOENCODING": encoding},
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert shown in done.stdout


def test_a_closed_pipe_is_quiet(files):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = command(files, stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (6, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_one_line_and_exit_code_6(files):
    with Path("/dev/full").open("w") as full:
        done = command(files, stdout=full)
    assert done.returncode == 6
    assert done.stderr.count("\n") == 1


def test_ctrl_c_is_quiet(files, capsys, monkeypatch):
    def interrupt(path):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "read_detections", interrupt)
    assert cli.main(files) == 130
    assert capsys.readouterr() == ("", "")


def test_what_nobody_expected_is_one_sentence_too(files, capsys, monkeypatch):
    def break_down(path):
        raise RuntimeError("a bug")

    monkeypatch.setattr(cli, "read_detections", break_down)
    assert cli.main(files) == 1
    said = capsys.readouterr().err
    assert said.startswith("wsgn-eval: unexpected RuntimeError: a bug;")
    assert said.count("\n") == 1


def test_the_command_needs_neither_torch_nor_scipy(files):
    program = (
        "import sys; from wsgn.metrics.cli import main; main(sys.argv[1:]); "
        "sys.exit(bool({'torch', 'scipy', 'pandas'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-c", program, *files]
    assert (
        subprocess.run(arguments, env=environment, timeout=HANG_SECONDS, check=False).returncode
        == 0
    )


def test_a_thumos14_protocol_on_another_dataset_is_noticed(tmp_path, capsys):
    truth = {"database": {"mine": TRUTH["database"]["video_test_1"]}}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "found.json").write_text(json.dumps({"results": {}}))
    files = [str(tmp_path / "found.json"), "--truth", str(tmp_path / "truth.json")]
    assert cli.main(files) == 0
    assert "--protocol activitynet" in capsys.readouterr().err
    assert cli.main([*files, "--protocol", "activitynet"]) == 0
    assert capsys.readouterr().err == ""


def test_charades(tmp_path, capsys):
    """Four points in a video of 25 s hold c001, at 2 to 5 s; two of the best four are theirs."""
    (tmp_path / "truth.csv").write_text("id,actions,length\nAB12,c001 2 5,25\n")
    rows = []
    for point in range(1, 26):
        scores = ["0"] * 157
        # Points 3 to 6 are seconds 2 to 5.
        scores[1] = {1: "0.9", 3: "0.8", 2: "0.7", 4: "0.6"}.get(point, "0")
        rows.append(f"AB12 {point} {' '.join(scores)}")
    (tmp_path / "submission.txt").write_text("\n".join(rows) + "\n")
    files = [str(tmp_path / "submission.txt"), "--truth", str(tmp_path / "truth.csv")]
    assert cli.main([*files, "--protocol", "charades", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    # Hits at ranks 2, 4, 5 (point 5, first of the zeros) and 6 of 25.
    expected = 100 * (1 / 2 + 2 / 4 + 3 / 5 + 4 / 6) / 4
    assert found["mAP"] == pytest.approx(expected)
    assert found["weighted_AP"] == pytest.approx(expected)
    assert (found["videos"], found["points"], found["unscored_videos"]) == (1, 25, 0)
    assert found["per_class"]["c000"] is None
    assert cli.main([*files, "--protocol", "charades", "--per-class"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split() == ["%", "mAP", "weighted", "AP"]
    assert lines[2].split() == ["all", f"{expected:.2f}", f"{expected:.2f}"]
    assert cli.main([*files, "--protocol", "charades", "--tiou", "0.5"]) == 2


def test_videos_that_a_submission_lacks_are_told(tmp_path, capsys):
    (tmp_path / "truth.csv").write_text("id,actions,length\nAB12,c001 2 5,25\nCD34,c001 2 5,25\n")
    rows = [f"AB12 {point} {' '.join(['0.5'] * 157)}\n" for point in range(1, 26)]
    (tmp_path / "submission.txt").write_text("".join(rows))
    files = [str(tmp_path / "submission.txt"), "--truth", str(tmp_path / "truth.csv")]
    assert cli.main([*files, "--protocol", "charades"]) == 0
    assert "1 of the videos has no scores and ranks last" in capsys.readouterr().out
    assert cli.main([*files, "--protocol", "charades", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["unscored_videos"] == 1
