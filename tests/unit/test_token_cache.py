"""Sign-ins on disk: sealed, readable by their owner alone, whole or not there."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from connectors.auth import TokenCache, new_key
from connectors.base import ConnectorError, NeedsLogin, Retryable

KEY = new_key()


def cache(folder: Path, key: bytes = KEY) -> TokenCache:
    """A cache in a folder of its own."""
    return TokenCache(folder / "tokens", lambda: key)


def test_what_is_saved_is_sealed_and_only_its_owners(tmp_path: Path) -> None:
    """File 0600, folder 0700, nothing of the value or the account's name in it."""
    kept = cache(tmp_path)
    kept.save("acme", "s3cret")
    file = tmp_path / "tokens" / "acme.token"
    assert kept.load("acme") == "s3cret"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert b"s3cret" not in file.read_bytes()
    assert [each.name for each in file.parent.iterdir()] == ["acme.token"]


def test_a_folder_that_was_open_is_closed(tmp_path: Path) -> None:
    """A folder made by hand is narrowed at the next save."""
    (tmp_path / "tokens").mkdir(mode=0o755)
    cache(tmp_path).save("acme", "s3cret")
    assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) == 0o700


def test_nothing_is_known_of_others_and_of_the_forgotten(tmp_path: Path) -> None:
    """None, not an error."""
    kept = cache(tmp_path)
    kept.save("acme", "s3cret")
    assert kept.load("own") is None
    kept.forget("acme")
    kept.forget("acme")
    assert kept.load("acme") is None


def test_exchanged_files_are_found_out(tmp_path: Path) -> None:
    """One account's sign-in cannot be passed off as another's."""
    kept = cache(tmp_path)
    kept.save("acme", "s3cret")
    (tmp_path / "tokens" / "acme.token").rename(tmp_path / "tokens" / "own.token")
    with pytest.raises(NeedsLogin, match="rebookd auth own"):
        kept.load("own")


@pytest.mark.parametrize("damage", [b"", b"gAAAAA", b"\xff" * 200])
def test_a_damaged_file_asks_for_a_sign_in(tmp_path: Path, damage: bytes) -> None:
    """It says what to do; it does not pretend that nobody ever signed in."""
    kept = cache(tmp_path)
    kept.save("acme", "s3cret")
    (tmp_path / "tokens" / "acme.token").write_bytes(damage)
    with pytest.raises(NeedsLogin, match="rebookd auth acme"):
        kept.load("acme")


def test_a_key_can_be_replaced(tmp_path: Path) -> None:
    """A new key on the first line, the old one below it; without the old one it is another key."""
    cache(tmp_path).save("acme", "s3cret")
    other = new_key()
    assert cache(tmp_path, other + KEY).load("acme") == "s3cret"
    with pytest.raises(NeedsLogin, match="another key"):
        cache(tmp_path, other).load("acme")


@pytest.mark.parametrize("key", [b"", b"hunter2", b"c2hvcnQ=", b"\xff\xfe"])
def test_a_key_that_is_none_is_told_without_repeating_it(tmp_path: Path, key: bytes) -> None:
    """The error says how to make one."""
    with pytest.raises(NeedsLogin, match="openssl rand -base64 32") as told:
        cache(tmp_path, key).save("acme", "s3cret")
    assert "hunter2" not in str(told.value)


def test_two_at_work_on_one_sign_in_wait_for_each_other(tmp_path: Path) -> None:
    """The second one gives up after its patience, and gets it once the first is done."""
    kept = cache(tmp_path)
    with kept.locked("acme"), kept.locked("own"), pytest.raises(Retryable), kept.locked("acme", 0.1):
        pass
    with kept.locked("acme", 0.1):
        pass


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """The path and the system's own words."""
    (tmp_path / "tokens").write_text("a file")
    with pytest.raises(ConnectorError, match="tokens"):
        cache(tmp_path).save("acme", "s3cret")
