"""Which sources are live, what they are called, and `cameras.toml`."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.errors import InputError, UsageError
from wsgn.runtime.cli.cameras import read_cameras
from wsgn.runtime.cli.live_sources import LiveWords, find_live
from wsgn.runtime.cli.options import parse_options
from wsgn.support.shards import Shard

A, B = "rtsp://10.0.0.5/stream1", "rtsp://10.0.0.6:8554/stream1"


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def names_of(*arguments: str, **words: object) -> list[str]:
    found = find_live(LiveWords(arguments=arguments, **words))  # type: ignore[arg-type]
    assert found is not None
    return [source.name for source in found.sources]


def test_files_alone_are_no_live_run(tmp_path: Path) -> None:
    video = written(tmp_path / "a.mp4", "")
    arguments = (str(video), str(tmp_path), "nothing.mp4", "-", str(tmp_path / "no.txt"))
    assert find_live(LiveWords(arguments=arguments)) is None


def test_each_source_has_a_name_of_its_own() -> None:
    assert names_of(A, B, "/dev/video0", A) == ["10-0-0-5_stream1", "10-0-0-6_stream1", "video0"]
    # Two channels of one host, told apart by what no name shows.
    assert names_of(f"{A}?channel=1", f"{A}?channel=2") == [
        "10-0-0-5_stream1",
        "10-0-0-5_stream1-2",
    ]
    assert names_of(A, B, names=("door", "yard")) == ["door", "yard"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("door",), "1 times for 2 sources"),
        (("door", "Door"), "two sources are called 'Door'"),
        (("door", "a/b"), "cannot name files"),
        (("door", ""), "is no name"),
        (("door", ".hidden"), "cannot name files"),
        (("door", "a\nb"), "is no name"),
        (("door", "x" * 151), "at most 150 bytes"),
    ],
)
def test_names_that_do_not_fit_are_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        names_of(A, B, names=names)


def test_shards_share_the_sources_of_one_list() -> None:
    hosts = [f"rtsp://10.0.0.{host}/s" for host in (5, 6, 5, 7, 8)]
    # Two channels of one host, told apart by what no name shows.
    arguments = [f"{address}?channel={n}" for n, address in enumerate(hosts)]
    whole = names_of(*arguments)
    assert len(set(whole)) == 5
    parts = [names_of(*arguments, shard=Shard(number=n, count=2)) for n in (1, 2)]
    # Every second one from the first or the second on, called as in one run over all.
    assert parts == [whole[0::2], whole[1::2]]
    chosen = ("a", "b", "c", "d", "e")
    assert names_of(*arguments, names=chosen, shard=Shard(number=2, count=3)) == ["b", "e"]


def test_files_and_cameras_do_not_mix_unless_files_are_played(tmp_path: Path) -> None:
    video = written(tmp_path / "match.mp4", "")
    with pytest.raises(UsageError, match=r"is a file and '10-0-0-5_stream1' is live.*--realtime"):
        names_of(A, str(video))
    assert names_of(A, str(video), realtime=True) == ["10-0-0-5_stream1", "match"]
    # A pipe is live by itself.
    assert names_of(A, "-") == ["10-0-0-5_stream1", "stdin"]


def test_a_list_file_may_name_cameras(tmp_path: Path) -> None:
    path = written(tmp_path / "cameras.txt", f"# both\n{A}\n{B}\n")
    found = find_live(LiveWords(arguments=(str(path),)))
    assert found is not None
    assert [source.address for source in found.sources] == [A, B]
    assert found.lists == (path,)


def test_addresses_of_the_web_are_what_their_server_says() -> None:
    web = "http://camera/video"
    answers = {web: True}
    found = find_live(LiveWords(arguments=(web,)), answers.__getitem__)
    assert found is not None
    assert [source.address for source in found.sources] == [web]
    for answer in (False, None):
        answers[web] = answer  # type: ignore[assignment]
        assert find_live(LiveWords(arguments=(web,)), answers.__getitem__) is None
    # It does not answer, and an option says what it is.
    assert find_live(LiveWords(arguments=(web,), wants_live=True), answers.__getitem__)
    # It is a file, and an option of live sources means nothing.
    answers[web] = False
    assert find_live(LiveWords(arguments=(web,), wants_live=True), answers.__getitem__) is None


def test_what_goes_wrong_with_a_question_is_not_waited_for() -> None:
    def ask(address: str) -> bool | None:
        if address.endswith("/7"):
            raise KeyError(address)
        return True

    addresses = [f"http://camera/{number}" for number in range(20)]
    with pytest.raises(KeyError, match="camera/7"):
        find_live(LiveWords(arguments=tuple(addresses)), ask)
    found = find_live(LiveWords(arguments=tuple(addresses[8:])), lambda address: True)
    assert found is not None
    assert [source.address for source in found.sources] == addresses[8:]


def test_cameras_have_names_addresses_and_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOOR_PASSWORD", "p%40ss")
    path = written(
        tmp_path / "cameras.toml",
        '[door]\nurl = "rtsp://cam:${DOOR_PASSWORD}@10.0.0.5/1"\nrtsp_transport = "udp"\n'
        'timeout = 5\n["back yard"]\nurl = "a.mp4"\nrealtime = true\n[pipe]\nurl = "-"\n',
        # Others may read the name of a variable.
        0o644,
    )
    door, yard, pipe = read_cameras(path)
    assert pipe.address == "-"
    assert (door.name, door.address) == ("door", "rtsp://cam:p%40ss@10.0.0.5/1")
    assert (door.rtsp_transport, door.timeout_seconds) == ("udp", 5.0)
    assert (yard.name, yard.address, yard.realtime) == (
        "back yard",
        str(tmp_path / "a.mp4"),
        True,
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "names no camera"),
        ("a = = 1", "is no TOML .line 1, column"),
        ('url = "rtsp://a/1"', "a camera is a table"),
        ("[door]\n", "a camera is a table"),
        ("[door]\nurl = 5\n", "url must be text"),
        ('[door]\nurl = "rtsp://a/1"\ncrop = 5\n', "'crop' is not known: a camera has url"),
        ('[door]\nurl = "rtsp://a/1"\ntimeout = true\n', "timeout must be a number"),
        ('[door]\nurl = "rtsp://a/1"\ntimeout = 0.5\n', "at least 1 s"),
        ('[door]\nurl = "rtsp://a/1"\ntimeout = nan\n', "at least 1 s"),
        ('[door]\nurl = "rtsp://a/1"\nrtsp_transport = "http"\n', "one of tcp, udp"),
        ('[door]\nurl = "rtsp://a/1"\ntimeout = 1e300\n', "at most a day"),
        ('[door]\nurl = ""\n', "no address of a stream"),
        ('[door]\nurl = "cameras.toml"\n', "played with realtime = true"),
        ('[door]\nurl = "file:///a.mp4"\n', "played with realtime = true"),
        ('[a]\nurl = "-"\n[b]\nurl = "-"\n', "names stdin twice"),
        ('[door]\nurl = "rtsp://cam:${A-B}@a/1"\n', "digits and _ of a variable"),
        ('["a/b"]\nurl = "rtsp://a/1"\n', "cannot name files"),
        ('[door]\nurl = "rtsp://a:${WSGN_NO_SUCH}@a/1"\n', "environment has no WSGN_NO_SUCH"),
    ],
)
def test_what_is_no_list_of_cameras_is_a_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_cameras(written(tmp_path / "cameras.toml", text))


def test_a_list_that_is_not_there_is_an_input_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_cameras(tmp_path / "cameras.toml")
    # An editor replaces it at this moment.
    monkeypatch.setattr(Path, "read_text", lambda *_: '[door]\nurl = "rtsp://a/1"\n')
    with pytest.raises(InputError, match="cannot be read"):
        read_cameras(tmp_path / "cameras.toml")


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://cam:secret@10.0.0.5/1",
        "rtsp://cam:${A}x@10.0.0.5/1",
        "rtsp://10.0.0.5/1?password=secret",
        "rtsp://10.0.0.5/user=admin_password=secret_channel=1",
    ],
)
def test_a_password_that_everybody_can_read_is_refused(tmp_path: Path, url: str) -> None:
    path = written(tmp_path / "cameras.toml", f'[door]\nurl = "{url}"\n', 0o644)
    with pytest.raises(UsageError, match="everybody on this machine can read it") as caught:
        read_cameras(path)
    assert "secret" not in str(caught.value)
    path.chmod(0o640)
    if "$" not in url:
        assert read_cameras(path)[0].address == url


def test_what_is_no_toml_is_not_quoted(tmp_path: Path) -> None:
    path = written(tmp_path / "cameras.toml", '[door]\nurl = "rtsp://cam:secret@a/1\n')
    with pytest.raises(UsageError, match="is no TOML") as caught:
        read_cameras(path)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["v.mp4", "--timeout", "5"], "--timeout is for live sources.*--realtime"),
        (["v.mp4", "--state", "s"], "--state is for live sources"),
        (["v.mp4", "--source-name", "a"], "--source-name is for live sources"),
        ([A, "--timeout", "0.5"], "--timeout must be 1 to 86400 s, got 0.5"),
        ([A, "--timeout", "nan"], "--timeout must be 1 to 86400 s, got nan"),
        ([A, "--max-lag", "0"], "--max-lag must be 0.1 to"),
        ([A, "--reconnect", "-1"], "--reconnect must be 0 or more"),
        ([A, "--shard", "2/2"], "--shard 2/2 has no source: there are fewer sources than shards"),
        ([A, "--start", "5"], "--start means nothing for live sources"),
        ([A, "-o", "out", "--resume"], "--resume means nothing"),
        ([A, "-o", "out", "--overwrite"], "--overwrite means nothing"),
        ([A, "-o", "out", "-f", "json"], "--format json is written at the end"),
        ([A, "-o", "out", "--scores", "causal", "--save-scores"], "--save-scores means nothing"),
        ([A, "--rotate", "day"], "--rotate needs --output"),
        ([A, "--source-options", "a"], "must be KEY=VALUE"),
        ([A, "--source-options", "rtsp_flags=listen,rtsp_flag=x"], "no option 'rtsp_flag' of"),
        ([A, "--window", "5", "--scores", "causal"], "--window is for --scores window"),
        (["srt://a:1"], "no SRT.*udp://127.0.0.1:5000"),
        (["--demo", "--realtime"], "prints a table"),
    ],
)
def test_what_means_nothing_is_a_usage_error(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_options([*words, *([] if "--demo" in words else ["-e", "e.onnx"])])


def test_live_sources_have_defaults_of_their_own() -> None:
    options = parse_options([A, "-e", "e.onnx"])
    assert options.live is not None
    detector = options.detect.detector
    assert (detector.scores, detector.window_seconds) == ("window", 120.0)
    live = options.live.live
    assert (live.timeout_seconds, live.reconnect, live.rtsp_transport) == (10.0, None, "tcp")
    assert (live.drop, live.max_lag_seconds, options.live.rotate) == ("oldest", 3.0, "day")


def test_every_word_of_live_sources_arrives() -> None:
    options = parse_options(
        [
            A, "-e", "e.onnx", "--window", "30", "--timeout", "2", "--reconnect", "3",
            "--rtsp-transport", "udp", "--drop", "never", "--max-lag", "1.5", "--source-name", "d",
            "--source-options", "ttl=1,headers=c=d", "--source-options", "key=", "--state", "kept",
            "--rotate", "hour", "-o", "out", "-f", "jsonl", "--end", "1:00", "--stream", "1",
            "--input-rate", "25",
        ]
    )  # fmt: skip
    assert options.live is not None
    live = options.live.live
    assert (live.timeout_seconds, live.reconnect, live.rtsp_transport) == (2.0, 3, "udp")
    assert (live.drop, live.max_lag_seconds) == ("never", 1.5)
    assert live.source_options == {"ttl": "1", "headers": "c=d", "key": ""}
    assert (live.end_seconds, live.stream, live.input_rate) == (60.0, 1, 25.0)
    assert (options.live.state, options.live.rotate) == (Path("kept"), "hour")
    assert [source.name for source in options.live.sources] == ["d"]
    assert options.detect.detector.window_seconds == 30.0
