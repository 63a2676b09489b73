"""Servers that break off, lie and send elsewhere: the file comes whole, or not at all and with a reason."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from shared_utils.downloads.errors import DownloadFailedError
from shared_utils.downloads.source import Source
from shared_utils.errors import InvalidRequestError
from tests.orchestrator.gateway.receiver import certificate_for
from tests.shared_utils.downloads import mirror as servers
from tests.shared_utils.downloads.conftest import Check, Downloading
from tests.shared_utils.downloads.mirror import MB, Behaviour, Mirror, mirroring

NAME = "vae.safetensors"
SIZE = 3 * MB


def test_a_good_server(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    file = mirror.has(NAME)
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert mirror.ranges(file) == [None]
    assert mirror.asked[0].headers["accept-encoding"] == "identity"
    assert "authorization" not in mirror.asked[0].headers
    assert downloading.told.done[f"downloading vae/{NAME}"][-1] == SIZE


def test_cut_connections_are_taken_up(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    """Each time from the last byte that came: also from one in the middle of a block."""
    file = mirror.has(NAME)
    mirror.will(file, servers.cut_after(MB + 1), servers.reset, servers.cut_after(MB), servers.cut_after(1))
    (outcome,) = downloading(file)
    whole(file, outcome)
    first, second = f"bytes={MB + 1}-", f"bytes={2 * MB + 1}-"
    assert mirror.ranges(file) == [None, first, first, second, f"bytes={2 * MB + 2}-"]
    assert {asked.headers.get("if-range") for asked in mirror.asked[1:]} == {'"first"'}
    assert downloading.waits.seconds == [1, 2, 1, 2]


def test_it_gives_up_and_keeps_what_came(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.cut_after(2 * MB), *[servers.reset] * 3)
    (outcome,) = downloading(file)
    assert not outcome.good
    assert "2.1 MB of 3.1 MB" in outcome.remark
    assert "run it again" in outcome.remark
    assert downloading.left() == [f"vae/.{NAME}.part", f"vae/.{NAME}.part.json"]
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert mirror.ranges(file)[-1] == f"bytes={2 * MB}-"


def test_a_server_that_brings_a_byte_each_time_is_given_up(mirror: Mirror, downloading: Downloading) -> None:
    file = mirror.has(NAME)
    mirror.will(file, *[servers.cut_after(1)] * 10)
    (outcome,) = downloading(file)
    assert not outcome.good
    assert len(mirror.asked) == 3


@pytest.mark.parametrize("promised", [SIZE + 1000, SIZE - 1000, 0, 10**15 - 1])
def test_a_length_that_is_not_the_files(mirror: Mirror, downloading: Downloading, promised: int) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.length(promised))
    (outcome,) = downloading(file)
    assert not outcome.good
    assert f"has {promised} bytes, but {NAME} has {SIZE}" in outcome.remark
    assert len(mirror.asked) == 1


def test_fewer_bytes_than_promised(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.length(SIZE, lambda whole: whole[:-1000]))
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert mirror.ranges(file) == [None, f"bytes={SIZE - 1000}-"]


def test_more_bytes_than_promised(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    """HTTP ends the body where it was said to end."""
    file = mirror.has(NAME)
    mirror.will(file, servers.length(SIZE, lambda whole: whole + b"more"))
    (outcome,) = downloading(file)
    whole(file, outcome)


def test_no_length_and_too_much(mirror: Mirror, downloading: Downloading) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.length(None, lambda whole: whole + b"more"))
    (outcome,) = downloading(file)
    assert f"more than the {SIZE} bytes" in outcome.remark
    assert downloading.left() == []


def test_no_length_and_too_little(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.length(None, lambda whole: whole[:MB]))
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert mirror.ranges(file) == [None, f"bytes={MB}-"]


def test_a_server_without_ranges(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.cut_after(MB), servers.no_ranges)
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert "begins anew" in " ".join(downloading.told.said)


@pytest.mark.parametrize(
    "wrong",
    [
        servers.part(0, SIZE - 1, str(SIZE)),
        servers.part(5, SIZE - 1, str(SIZE)),
        servers.part(MB, SIZE - 1, str(SIZE + 1)),
        servers.part(MB, SIZE, "*"),
        servers.status(206, {"Content-Range": "lines 1-2/3"}),
        servers.status(206),
        servers.status(416, {"Content-Range": f"bytes */{SIZE}"}),
    ],
)
def test_another_range_than_asked(mirror: Mirror, downloading: Downloading, whole: Check, wrong: Behaviour) -> None:
    """It is not asked for ranges again."""
    file = mirror.has(NAME)
    mirror.will(file, servers.cut_after(MB), wrong)
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert mirror.ranges(file) == [None, f"bytes={MB}-", None]


def test_a_range_that_nobody_asked_for(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.part(0, SIZE - 1, str(SIZE)))
    (outcome,) = downloading(file)
    whole(file, outcome)


def test_a_file_that_changes_between_two_tries(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    """The mirror had an old one, then got the right one."""
    file = mirror.has(NAME)
    content = mirror.content(file)
    mirror.put(file, bytes(SIZE), '"old"')
    mirror.will(file, servers.cut_after(MB), servers.then(servers.reset, lambda: mirror.put(file, content)))
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert [asked.headers.get("if-range") for asked in mirror.asked] == [None, '"old"', '"old"']


def test_a_file_that_changes_and_does_not_say_so(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    file = mirror.has(NAME)
    content = mirror.content(file)
    mirror.put(file, bytes(SIZE), None)
    mirror.will(file, servers.cut_after(MB), servers.then(servers.reset, lambda: mirror.put(file, content, None)))
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert mirror.ranges(file) == [None, f"bytes={MB}-", f"bytes={MB}-", None]
    assert "don't fit together" in " ".join(downloading.told.said)


def test_another_file_of_the_same_size(mirror: Mirror, downloading: Downloading) -> None:
    file = mirror.has(NAME)
    mirror.put(file, bytes(SIZE))
    (outcome,) = downloading(file)
    assert file.sha256 in outcome.remark
    assert "not kept" in outcome.remark
    assert downloading.left() == []
    assert len(mirror.asked) == 1


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_server_without_time(mirror: Mirror, downloading: Downloading, whole: Check, code: int) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.status(code, {"Retry-After": "7"}), servers.status(code))
    (outcome,) = downloading(file)
    whole(file, outcome)
    assert downloading.waits.seconds == [7, 2]


@pytest.mark.parametrize("when", ["3600", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_a_server_without_time_for_long(mirror: Mirror, downloading: Downloading, when: str) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.status(429, {"Retry-After": when}))
    (outcome,) = downloading(file)
    assert "asks to come back in" in outcome.remark
    assert downloading.waits.seconds == []


@pytest.mark.parametrize("when", ["soon", "-1", "", "Fri, 99 Foo", "Thu, 01 Jan 1970 00:00:00 GMT", "9" * 400])
def test_a_time_that_is_none(mirror: Mirror, downloading: Downloading, when: str) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.status(503, {"Retry-After": when}))
    (outcome,) = downloading(file)
    assert outcome.good == (len(when) < 100)


@pytest.mark.parametrize(
    ("code", "token", "remedy"),
    [
        (404, None, "the file is not there"),
        (410, None, "the file is not there"),
        (401, None, "Set HF_TOKEN"),
        (403, None, "Set HF_TOKEN"),
        (401, "hf_secret", "HF_TOKEN is not accepted"),
        (403, "hf_secret", "accepted the terms"),
        (418, None, "answers 418"),
        (304, None, "answers 304"),
    ],
)
def test_refusals(mirror: Mirror, downloading: Downloading, code: int, token: str | None, remedy: str) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.status(code, body=b"" if code == 304 else b"no"))
    (outcome,) = downloading(file, source=Source(mirror.url(), SecretStr(token) if token else None))
    assert remedy in outcome.remark
    assert "hf_secret" not in outcome.remark
    assert len(mirror.asked) == 1


def test_a_web_page(mirror: Mirror, downloading: Downloading) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.status(200, {"Content-Type": "text/html; charset=utf-8"}, b"<html>Log in</html>"))
    (outcome,) = downloading(file)
    assert "a web page" in outcome.remark


def test_packed_contents(mirror: Mirror, downloading: Downloading) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.status(200, {"Content-Encoding": "gzip"}, b"packed"))
    (outcome,) = downloading(file)
    assert "encoding" in outcome.remark


@pytest.mark.parametrize("behaviour", [servers.silent, servers.stall_after(0), servers.dripping])
def test_servers_that_only_hold_the_line(
    mirror: Mirror, downloading: Downloading, whole: Check, behaviour: Behaviour
) -> None:
    file = mirror.has(NAME)
    mirror.will(file, behaviour)
    (outcome,) = downloading(file, patience={"stall_seconds": 0.5})
    whole(file, outcome)
    assert "too little in 0.5 s" in " ".join(downloading.told.said)


def test_nobody_listens(mirror: Mirror, downloading: Downloading) -> None:
    file = mirror.has(NAME)
    with mirroring() as other:
        gone = other.url()
    (outcome,) = downloading(file, source=Source(gone))
    assert gone in outcome.remark
    assert "given up after 3 tries" in outcome.remark


def test_a_certificate_that_nobody_signed(
    tmp_path: Path, downloading: Downloading, whole: Check, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = certificate_for("localhost", tmp_path)
    with mirroring(certificate) as mirror:
        file = mirror.has(NAME)
        there = Source(mirror.url(host="localhost"))
        (outcome,) = downloading(file, source=there)
        assert "can't be trusted" in outcome.remark
        assert "SSL_CERT_FILE" in outcome.remark
        assert mirror.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        downloading.mirror = mirror
        (outcome,) = downloading(file, source=there)
        whole(file, outcome)


def test_a_redirect_to_plain_http(
    mirror: Mirror, tmp_path: Path, downloading: Downloading, monkeypatch: pytest.MonkeyPatch
) -> None:
    with mirroring(certificate_for("localhost", tmp_path)) as safe:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        file = mirror.has(NAME)
        safe.will(file, servers.redirect(mirror.url(mirror.path(file))))
        (outcome,) = downloading(file, source=Source(safe.url(host="localhost")))
    assert "plain http" in outcome.remark
    assert mirror.asked == []


def test_https_asked_of_http(mirror: Mirror, downloading: Downloading) -> None:
    file = mirror.has(NAME)
    (outcome,) = downloading(file, source=Source(mirror.url().replace("http:", "https:")))
    assert "can't be trusted" in outcome.remark


# ---- redirects


def test_the_token_goes_nowhere_else(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    """127.0.0.1 and localhost are two hosts."""
    file = mirror.has(NAME)
    there = mirror.url("/storage/x?Signature=abc", host="localhost")
    mirror.served["/storage/x?Signature=abc"] = mirror.served[mirror.path(file)]
    mirror.will(file, servers.redirect(there, named=True))
    mirror.script["/storage/x?Signature=abc"].append(servers.cut_after(MB))
    (outcome,) = downloading(file, source=Source(mirror.url(), SecretStr("hf_secret")))
    # The second try asks from the front again: links to storage expire.
    whole(file, outcome)
    tokens = [(asked.headers["host"].split(":")[0], asked.headers.get("authorization")) for asked in mirror.asked]
    assert tokens == [
        ("127.0.0.1", "Bearer hf_secret"),
        ("localhost", None),
        ("127.0.0.1", "Bearer hf_secret"),
    ]
    assert "Signature" not in " ".join(downloading.told.said)


def test_another_port_is_another_host(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    file = mirror.has(NAME)
    with mirroring() as other:
        other.put(file, mirror.content(file))
        mirror.will(file, servers.redirect(other.url(mirror.path(file))))
        (outcome,) = downloading(file, source=Source(mirror.url(), SecretStr("hf_secret")))
        whole(file, outcome)
        assert [asked.headers.get("authorization") for asked in other.asked] == [None]


def test_a_redirect_on_the_same_host(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    """As after a repository was renamed."""
    file = mirror.has(NAME)
    mirror.served["/new/place"] = mirror.served[mirror.path(file)]
    mirror.will(file, servers.redirect("/new/place", 307))
    (outcome,) = downloading(file, source=Source(mirror.url(), SecretStr("hf_secret")))
    whole(file, outcome)
    assert {asked.headers.get("authorization") for asked in mirror.asked} == {"Bearer hf_secret"}


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///etc/passwd", "not followed"),
        ("ftp://127.0.0.1/x", "not followed"),
        ("mailto:somebody@example.com", "none that can be reached"),
    ],
)
def test_redirects_to_what_is_not_the_web(mirror: Mirror, downloading: Downloading, location: str, reason: str) -> None:
    file = mirror.has(NAME)
    mirror.will(file, servers.redirect(location))
    (outcome,) = downloading(file)
    assert reason in outcome.remark


@pytest.mark.parametrize(
    "location", ["http://[", "http://localhost:99999/", f"http://{'a' * 70}.invalid/", "http://\x00/"]
)
def test_redirects_to_what_is_no_address(mirror: Mirror, downloading: Downloading, location: str) -> None:
    file = mirror.has(NAME)
    mirror.will(file, *[servers.redirect(location)] * 5)
    (outcome,) = downloading(file)
    assert not outcome.good


def test_redirects_without_end(mirror: Mirror, downloading: Downloading) -> None:
    file = mirror.has(NAME)
    mirror.will(file, *[servers.redirect(mirror.path(file))] * 20)
    (outcome,) = downloading(file)
    assert "redirects more than 5 times" in outcome.remark
    assert len(mirror.asked) == 6


# ---- what Hugging Face names


def test_a_file_that_was_published_anew(mirror: Mirror, downloading: Downloading, whole: Check) -> None:
    """Nothing of it comes, unless that is wished for."""
    file = mirror.has(NAME)
    mirror.put(file, bytes(2 * MB))
    mirror.served["/there"] = mirror.served[mirror.path(file)]
    mirror.will(file, *[servers.redirect("/there", named=True)] * 3)
    (outcome,) = downloading(file)
    assert "--unpinned" in outcome.remark
    assert downloading.left() == [f"vae/.{NAME}.part"]
    (outcome,) = downloading(file, unpinned=True)
    whole(file, outcome)
    assert mirror.asked[2].method == "HEAD"


def test_a_server_that_names_nothing(mirror: Mirror, downloading: Downloading) -> None:
    file = mirror.has(NAME)
    with pytest.raises(DownloadFailedError, match="--unpinned has nothing"):
        downloading(file, unpinned=True)
    mirror.will(file, servers.status(401))
    with pytest.raises(DownloadFailedError, match="Set HF_TOKEN"):
        downloading(file, unpinned=True)


# ---- addresses and tokens that are none


@pytest.mark.parametrize(
    "endpoint", ["huggingface.co", "ftp://host", "file:///models", "http://", "https://host?a=b", "http://a b", "x:y"]
)
def test_endpoints_that_are_none(endpoint: str) -> None:
    with pytest.raises(InvalidRequestError, match="HF_ENDPOINT"):
        Source(endpoint)


def test_what_is_secret_is_not_shown() -> None:
    assert str(Source("https://me:password@host/path/")) == "https://host/path"
    with pytest.raises(InvalidRequestError) as refused:
        Source("https://host", SecretStr("hf_secret\nX: y"))
    assert "hf_secret" not in refused.value.message


def test_a_token_is_not_sent_in_the_clear() -> None:
    assert Source("http://mirror.example", SecretStr("hf_secret")).withheld
    assert not Source("http://127.0.0.1:1", SecretStr("hf_secret")).withheld
    assert not Source("https://mirror.example", SecretStr("hf_secret")).withheld
    assert not Source("http://mirror.example").withheld
