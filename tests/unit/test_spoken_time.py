"""Times in words: the right instant, in the right zone, with its offset."""

from __future__ import annotations

import subprocess
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from daemon.mail.foreign_text import shell_word
from daemon.mail.spoken_time import LANGUAGES, language, spoken
from rules.model import Interval
from tests.support.letters import LISBON, utc

EN, PT = LANGUAGES["en"], LANGUAGES["pt"]


def test_a_time_names_zone_and_offset() -> None:
    """Date, hours, zone and offset in both languages; the offset follows the season."""
    meeting = Interval(utc(3, 3, 15), utc(3, 3, 15, 30))
    assert (
        spoken(meeting, LISBON, None, EN)["text"] == "Tue 3 March 2026, 15:00–15:30 Europe/Lisbon (UTC+00:00)"
    )
    assert spoken(meeting, LISBON, None, PT)["text"] == (
        "terça, 3 de março de 2026, 15:00–15:30 Europe/Lisbon (UTC+00:00)"
    )
    assert spoken(meeting, ZoneInfo("Asia/Kathmandu"), None, EN)["zone"] == "Asia/Kathmandu (UTC+05:45)"
    assert spoken(meeting, ZoneInfo("America/St_Johns"), None, EN)["zone"] == "America/St_Johns (UTC-03:30)"
    assert spoken(meeting, ZoneInfo("UTC"), None, EN)["zone"] == "UTC"


def test_the_other_zone_says_its_date_where_it_differs() -> None:
    """In Auckland it is already tomorrow, in Berlin it is not."""
    meeting = Interval(utc(3, 3, 15), utc(3, 3, 15, 30))
    auckland = spoken(meeting, LISBON, ZoneInfo("Pacific/Auckland"), EN)["elsewhere"]
    assert auckland == "Wed 4 March 2026, 04:00–04:30 Pacific/Auckland (UTC+13:00)"
    assert spoken(meeting, LISBON, ZoneInfo("Europe/Berlin"), EN)["elsewhere"].startswith("16:00–16:30 ")


def test_a_meeting_across_a_clock_change_names_both_offsets() -> None:
    """From 01:30 to 01:30 is an hour when the clocks go back; the two readings are told apart."""
    autumn = Interval(utc(10, 25, 0, 30), utc(10, 25, 1, 30))
    assert spoken(autumn, LISBON, None, EN)["text"] == (
        "Sun 25 October 2026, 01:30 (UTC+01:00) – 01:30 (UTC+00:00) Europe/Lisbon"
    )
    first, second = (
        datetime(2026, 11, 1, 1, 30, fold=fold, tzinfo=ZoneInfo("America/New_York")) for fold in (0, 1)
    )
    for start, offset in ((first, "UTC-04:00"), (second, "UTC-05:00")):
        at = start.astimezone(ZoneInfo("UTC"))
        said = spoken(Interval(at, at + timedelta(minutes=15)), ZoneInfo("America/New_York"), None, EN)
        assert said["text"] == f"Sun 1 November 2026, 01:30–01:45 America/New_York ({offset})"


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        (0, "22:00"),
        (2, "22:00–00:00"),
        (3, "22:00 – Wed 4 March 2026, 01:00"),
        (26, "22:00 – Thu 5 March 2026, 00:00"),
    ],
)
def test_an_end_on_another_day_says_which(hours: int, said: str) -> None:
    """The end's date shows unless it is the start's own or the midnight that closes it."""
    start = utc(3, 3, 22)
    assert spoken(Interval(start, start + timedelta(hours=hours)), LISBON, None, EN)["hours"] == said


def test_a_language_without_words_is_english() -> None:
    """Regional tags find their language."""
    assert [language(tag).code for tag in ("pt", "pt-BR", "PT_pt", "en-US", "de", "")] == [
        "pt", "pt", "pt", "en", "en", "en"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text", ["plain@x", "a b", "it's", "$(id)`id`", "é!", "a\nb\t\u202e", "\\x41'", "\x1b[31m"]
)
def test_a_shell_reads_back_the_word(text: str) -> None:
    """What bash makes of the quoted word is the text itself, and only visible characters stand in it."""
    word = shell_word(text)
    assert word.isprintable()
    run = subprocess.run(["bash", "-c", f"printf %s {word}"], capture_output=True, check=True)
    assert run.stdout.decode() == text
