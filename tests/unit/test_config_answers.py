"""Answer pages in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.problems import ConfigProblems
from daemon.config.settings import load
from tests.support.files import CONFIG, write


def written(folder: Path, answers: str) -> Path:
    """The manual's configuration with this as its last line."""
    return write(folder, f"{CONFIG}answers: {answers}\n")


def told(folder: Path, answers: str) -> str:
    """What is wrong with it, without the folder."""
    path = written(folder, answers)
    with pytest.raises(ConfigProblems) as raised:
        load(path)
    return "\n".join(map(str, raised.value.problems)).replace(f"{path.parent}/", "")


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("https://meet.va.example", "https://meet.va.example"),
        ("https://Meet.VA.example/", "https://meet.va.example"),
        ("https://meet.va.example:8443", "https://meet.va.example:8443"),
        ("http://127.0.0.1:8470", "http://127.0.0.1:8470"),
        ("http://localhost:8470", "http://localhost:8470"),
        ("http://[::1]:8470", "http://[::1]:8470"),
    ],
)
def test_an_address_of_the_pages(tmp_path: Path, address: str, meant: str) -> None:
    """A host name over https, or this machine over http; listening on the loopback without further words."""
    found = load(written(tmp_path, f'{{public_url: "{address}"}}')).config.answers
    assert found is not None
    assert (found.public_url, found.listen, found.key) == (meant, "127.0.0.1:8470", None)
    assert found.is_https == meant.startswith("https")


@pytest.mark.parametrize("place", ["127.0.0.1:8470", "[::1]:8470", "unix:/run/rebookd/answers.sock"])
def test_places_to_listen_at(tmp_path: Path, place: str) -> None:
    """Both families of the loopback, and a socket; none of them is reached by other machines."""
    settings = load(written(tmp_path, f'{{public_url: https://m.example, listen: "{place}"}}'))
    assert settings.config.answers is not None
    assert settings.config.answers.listen == place
    assert not any("listen" in one for one in settings.cautions())


def test_a_place_that_others_reach_is_cautioned_about(tmp_path: Path) -> None:
    """It works, for containers, and is told."""
    settings = load(written(tmp_path, '{public_url: https://m.example, listen: "0.0.0.0:8470"}'))
    assert [one for one in settings.cautions() if "0.0.0.0:8470, which other machines can reach" in one]


def test_a_key_that_everybody_can_read_is_cautioned_about(tmp_path: Path) -> None:
    """As every other secret."""
    settings = load(written(tmp_path, "{public_url: https://m.example, key: {file: links.key}}"))
    (tmp_path / "links.key").write_text("x")
    (tmp_path / "links.key").chmod(0o644)
    assert [one for one in settings.cautions() if one.endswith("links.key")]


@pytest.mark.parametrize(
    ("answers", "head", "hint"),
    [
        ("{}", "28:1: error: 'public_url' is missing", "public_url: https"),
        ("{public_url: meet.va.example}", "28:23: error: a whole address is expected here", "write it like"),
        ("{public_url: 'ftp://m.example'}", "28:23: error: a whole address is expected here", ""),
        ("{public_url: 8470}", "28:23: error: an address is expected here, not 8470", ""),
        (
            "{public_url: 'http://meet.va.example'}",
            "28:23: error: http:// shows every answer",
            "use https://",
        ),
        ("{public_url: 'http://127.0.0.1.evil.example'}", "28:23: error: http:// shows every answer", ""),
        ("{public_url: 'https://m.example/a/../b'}", "28:23: error: the pages have a host name of", ""),
        ("{public_url: 'https://m.example/?x'}", "28:23: error: the pages have a host name of their own", ""),
        ("{public_url: 'https://m.example#'}", "28:23: error: the pages have a host name of their own", ""),
        ("{public_url: 'https://x:hunter2@m.example'}", "28:23: error: user names and passwords do not", ""),
        ("{public_url: 'https://m.example\\\\x'}", "28:23: error: this is not an address that a browser", ""),
        ("{public_url: 'https://'}", "28:23: error: this is not an address that a browser can open", ""),
        ("{public_url: 'https://m.example:99999'}", "28:23: error: this is not an address that a", ""),
        ('{public_url: "https://m.example\\r\\nBcc: x"}', "28:23: error: an address is expected here", ""),
        ("{public_url: https://m.example, listen: 8470}", "28:50: error: a place to listen at is", "unix:"),
        ("{public_url: https://m.example, listen: '127.0.0.1'}", "28:50: error: the port is missing", ""),
        ("{public_url: https://m.example, listen: '127.0.0.1:0'}", "28:50: error: the port is missing", ""),
        ("{public_url: https://m.example, listen: '::1:8470'}", "28:50: error: an IPv6 address stands", ""),
        ("{public_url: https://m.example, listen: 'name:8470'}", "28:50: error: this is not an address", ""),
        ("{public_url: https://m.example, listen: 'unix:a.sock'}", "28:50: error: a socket is a whole", ""),
        ("{public_url: https://m.example, key: hunter2}", "28:47: error: a secret is never", "write {"),
        ("{public_url: https://m.example, lisen: x}", "28:42: error: unknown key 'lisen'", "did you mean"),
    ],
)
def test_mistakes_are_told_at_their_place(tmp_path: Path, answers: str, head: str, hint: str) -> None:
    """Each with what to write instead, and never with a password in it."""
    found = told(tmp_path, answers)
    assert found.startswith(f"config.yaml:{head}")
    assert hint in found
    assert "hunter2" not in found
