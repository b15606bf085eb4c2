"""The addresses of the answer pages: signed, bound to one message, short, and the same each time."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import ConnectorError, NeedsLogin
from daemon.config.settings import Settings, load
from daemon.links import Links, Purpose, digest_of, is_about, links, purpose_of
from daemon.store import deliveries
from daemon.store.deliveries import Delivery
from tests.support.files import CONFIG, write
from tests.support.meetings import NOW
from tests.support.offices import World
from tests.support.stores import fresh_store, intent

OLD, NEW = "o" * 40, "n" * 40
URL = "https://meet.va.example"


@pytest.fixture
def delivery(tmp_path: Path) -> Delivery:
    """A message to Jo."""
    store = fresh_store(tmp_path)
    with store.write() as conn:
        (id_,) = deliveries.add(conn, [intent()], NOW)
        found = deliveries.get(conn, id_)
    store.close()
    assert found is not None
    return found


def token_of(address: str) -> str:
    """The last part of an address."""
    return address.rpartition("/")[2]


@pytest.mark.parametrize("purpose", Purpose)
def test_an_address_is_read_back(delivery: Delivery, purpose: Purpose) -> None:
    """Its purpose, its message and what that is about."""
    made = Links(URL, [NEW])
    found = made.read(token_of(made.address(purpose, delivery)))
    assert found == (purpose, delivery.id, digest_of(delivery))
    assert is_about(delivery, found[2])


def test_an_address_fits_a_line_and_is_always_the_same(delivery: Delivery) -> None:
    """72 characters of a mail hold it, even for the millionth message; it names nobody."""
    late = replace(delivery, id=1_000_000)
    address = Links(URL, [NEW]).address(Purpose.PICK, late)
    assert address == Links(f"{URL}/", [NEW]).address(Purpose.PICK, late)
    assert re.fullmatch(r"https://meet\.va\.example/a/[A-Za-z0-9._-]+", address)
    assert len(address) <= 70
    assert Links(URL, [NEW]).address(Purpose.STOP, late).startswith(f"{URL}/stop/s")


def test_no_other_purpose_message_or_meeting(delivery: Delivery) -> None:
    """What was signed for one says nothing about another."""
    made = Links(URL, [NEW])
    token = token_of(made.address(Purpose.CONFIRM, delivery))
    word, _, signature = token.rpartition(".")
    for forged in (f"s{word[1:]}", f"{word[0]}2{word[2:]}", f"{word[:-1]}{'A' if word[-1] != 'A' else 'B'}"):
        assert made.read(f"{forged}.{signature}") is None
    other = replace(delivery, intent_key="another meeting, time or person")
    assert not is_about(other, digest_of(delivery))
    assert made.read(made.signer(b"csrf").sign(word).decode()) is None, "signed for another use"


def test_a_new_key_on_top_keeps_the_old_addresses(delivery: Delivery) -> None:
    """The first signs, all are believed; one that is taken out is not."""
    old = token_of(Links(URL, [OLD]).address(Purpose.CONFIRM, delivery))
    both = Links(URL, [NEW, OLD])
    assert both.read(old)
    assert both.address(Purpose.CONFIRM, delivery) == Links(URL, [NEW]).address(Purpose.CONFIRM, delivery)
    assert Links(URL, [NEW]).read(old) is None


@given(st.text(max_size=300) | st.text("abcdefghijklmnopqrstuvwxyz0123456789._-", max_size=80))
def test_whatever_else_is_written_is_no_token(text: str) -> None:
    """It is refused, and nothing breaks."""
    assert Links(URL, [NEW]).read(text) is None


def test_only_questions_have_a_page() -> None:
    """What asks nothing leads nowhere."""
    words = ["confirm", "reschedule", "check_in", "notify", "mark", "webhook", "notice", "agree"]
    assert [purpose_of(word) for word in words] == [
        Purpose.CONFIRM,
        Purpose.PICK,
        Purpose.CHECK_IN,
        *[None] * 5,
    ]


def settings(folder: Path, more: str = "") -> Settings:
    """The manual's configuration with answer pages."""
    return load(write(folder, f"{CONFIG}answers: {{public_url: {URL}{more}}}\n"))


def test_a_key_is_made_at_first_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside the state, for its owner alone, once; without pages none is made."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert links(load(write(tmp_path))) is None
    made = links(settings(tmp_path))
    path = tmp_path / "state.db.links-key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    kept = path.read_bytes()
    again = links(settings(tmp_path))
    assert path.read_bytes() == kept
    assert made is not None
    assert again is not None
    token = made.token(Purpose.STOP, 7, "x")
    assert again.read(token) == (Purpose.STOP, 7, "x")


def test_a_key_of_systemds_or_the_owners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The credential is taken where it is, the configured one before it; nothing is written then."""
    (tmp_path / "rebookd-links").write_text(f"{NEW}\n{OLD}\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("LINKS", OLD)
    by_systemd, by_owner = links(settings(tmp_path)), links(settings(tmp_path, ", key: {env: LINKS}"))
    assert by_systemd is not None
    assert by_owner is not None
    assert by_systemd.token(Purpose.STOP, 7, "x") == Links(URL, [NEW]).token(Purpose.STOP, 7, "x")
    assert by_owner.token(Purpose.STOP, 7, "x") == Links(URL, [OLD]).token(Purpose.STOP, 7, "x")
    assert not (tmp_path / "state.db.links-key").exists()


def test_the_owner_hears_that_links_open_nothing_here(tmp_path: Path) -> None:
    """Of another machine's key, or one that was changed; not of one that was put on top. Once for each."""
    (tmp_path / "key").write_text(OLD)
    (tmp_path / "key").chmod(0o600)
    rules = "[{name: ask, when: unconfirmed, then: [{step: ask, do: confirm, at: 48h before start}]}]"
    pages = f"answers: {{public_url: {URL}, key: {{file: key}}}}\n"
    world = World(tmp_path, f"version: 1\nrules: {rules}\n", config=pages)

    def told(*keys: str) -> int:
        (tmp_path / "key").write_text("\n".join(keys))
        world.office.close()
        world.office = world.open()
        with world.store.read() as conn:
            return sum(one.step == "links" for one in deliveries.list_(conn))

    assert [told(OLD), told(NEW, OLD), told(NEW)] == [0, 0, 0]
    assert [told(OLD), told(NEW), told(OLD)] == [1, 2, 2]
    world.round()
    assert "answers: key:" in str(world.mailer.kept[0][1])
    world.store.close()


def test_a_key_of_no_use_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is missing, and one that could be guessed."""
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.delenv("LINKS", raising=False)
    with pytest.raises(NeedsLogin, match="environment variable LINKS is not set"):
        links(settings(tmp_path, ", key: {env: LINKS}"))
    monkeypatch.setenv("LINKS", f"{NEW} secret")
    with pytest.raises(ConnectorError, match="shorter than 32 characters") as raised:
        links(settings(tmp_path, ", key: {env: LINKS}"))
    assert "secret" not in str(raised.value)
