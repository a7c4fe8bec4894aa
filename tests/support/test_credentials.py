"""What is shown of addresses."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wsgn.support.credentials import text_without_credentials, unknown_parts, without_credentials

# With what a user may type into an address without escaping it.
TYPED = st.text("aZ09@/?#&=:%;_-+.'", min_size=1, max_size=12)
PLAIN = st.text("abcXYZ0189", min_size=8, max_size=16).map(lambda text: f"q{text}q")


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://10.0.0.1:554/stream1", "rtsp://10.0.0.1:554/stream1"),
        ("rtsp://me:s3cr3t@10.0.0.1/x", "rtsp://10.0.0.1/x"),
        ("rtsp://me@10.0.0.1/x", "rtsp://10.0.0.1/x"),
        ("rtsp://admin:a/b@10.0.0.1/x", "rtsp://10.0.0.1/x"),
        ("rtsp://admin:a@b?c#d@10.0.0.1/x", "rtsp://10.0.0.1/x"),
        ("rtsp://admin%3As3cr3t%4010.0.0.1/x", "rtsp://10.0.0.1/x"),
        ("rtsp:/me:s3cr3t@10.0.0.1/x", "rtsp:/10.0.0.1/x"),
        ("rtsp:me:s3cr3t@10.0.0.1/x", "rtsp:10.0.0.1/x"),
        ("RTSP://10.0.0.1/x?USER=admin&Password=s3", "RTSP://10.0.0.1/x?USER=***&Password=***"),
        (
            "rtsp://10.0.0.1/user=admin_password=abc_channel=1_stream=0.sdp?real_stream",
            "rtsp://10.0.0.1/user=***_channel=1_stream=0.sdp?real_stream",
        ),
        (
            "rtsp://10.0.0.1/user%3Dadmin%26password%3Dabc/1",
            "rtsp://10.0.0.1/user%3D***/1",
        ),
        (
            "rtsp://10.0.0.1/cam/realmonitor?channel=1&subtype=0&authbasic=YWRtaW4=",
            "rtsp://10.0.0.1/cam/realmonitor?channel=1&subtype=0&authbasic=***",
        ),
        (
            "https://host/a.mp4?X-Amz-Signature=ab12&v=3",
            "https://host/a.mp4?X-Amz-Signature=***&***",
        ),
        ("http://host/a.mp4?bm90aGluZw==", "http://host/a.mp4?***"),
        ("http://host/a.mp4#access_token=ab12", "http://host/a.mp4#access_token=***"),
        ("http://host/a%40b.mp4", "http://host/a%40b.mp4"),
        ("a@b.mp4", "a@b.mp4"),
        ("films/user=me.mp4", "films/user=me.mp4"),
        ("C:/films/a@b.mp4", "C:/films/a@b.mp4"),
    ],
)
def test_what_is_shown(address: str, shown: str) -> None:
    assert without_credentials(address) == shown
    assert without_credentials(shown) == shown


@given(TYPED)
def test_any_user_and_password_go(password: str) -> None:
    assert without_credentials(f"rtsp://me:{password}@h/1") == "rtsp://h/1"
    escaped = quote(password, safe="")
    assert without_credentials(f"rtsp://me:{escaped}@h/1") == "rtsp://h/1"


@given(
    PLAIN,
    st.sampled_from(
        [
            "rtsp://h/x?user=admin&password={}",
            "rtsp://h/x?channel=1&token={}&subtype=0",
            "rtsp://h/x?{}",
            "rtsp://h/x?a=b?key={}",
            "rtsp://h/user=admin_password={}_channel=1_stream=0.sdp",
            "rtsp://h/user=admin_password=x_{}",
            "rtsp://h/a/user%3dadmin&password%3d{}/b",
            "http://h/;jsessionid={0};sessionkey={0}",
            "http://h/x.m3u8?hdnts=exp=1~hmac={}",
            "rtsp://{0}:{0}@h/{1}",
        ]
    ),
)
def test_secrets_go_where_they_can_be_known(secret: str, form: str) -> None:
    address = form.format(secret, "x?sig=" + secret)
    assert secret not in without_credentials(address)
    for text in (f"[Errno 1] no: '{address}'", f"see {address}, then", f'File "{address}"'):
        assert secret not in text_without_credentials(text)


@pytest.mark.parametrize(
    ("address", "parts"),
    [
        ("http://me:x@h/1?channel=1&cam_id=7&token=ab12&door#8", "cam_id=7&door#8"),
        ("http://h/1?password=ab12&channel=1", ""),
        ("http://h/1", ""),
        ("films/1?cam_id=7", ""),
    ],
)
def test_what_nobody_knows_may_tell_addresses_apart(address: str, parts: str) -> None:
    assert unknown_parts(address) == parts


def test_words_around_an_address_stay() -> None:
    text = "cannot open 'rtsp://me:a b@h/1' (see http://h/a.mp4): Connection refused"
    assert text_without_credentials(text) == (
        "cannot open 'rtsp://h/1' (see http://h/a.mp4): Connection refused"
    )
