"""One daemon for several owners: they come and go, and one's broken file touches no other."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.test_daemon import Life, living, mailed
from tests.support.house import House, house
from tests.support.servers import free_port

WATCHED = {"WATCHDOG_USEC": "2000000"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house for all of these."""
    with house(tmp_path_factory.mktemp("owners"), poll_every="1s") as found:
        yield found


def owners(place: House, port: int) -> tuple[House, Path]:
    """The house's configuration as that of Dana and of Eli, in one state; and the folder of them all."""
    folder = place.folder / "all"
    text = (place.folder / "config.yaml").read_text()
    (folder / "dana").mkdir(parents=True)
    more = "state: ../state.db\nrules: [../../rules.yaml]\n"
    pages = f"dashboard: {{listen: '127.0.0.1:{port}', password: {{file: %s.password}}}}\n"
    (folder / "dana/config.yaml").write_text(text + more + pages % "dana")
    (folder / "dana/dana.password").write_text("dana-word")
    eli = text.replace("Dana Reyes", "Eli Stone").replace("dana@va.example", "eli@va.example")
    eli = eli.replace("[eli@va.example]", "[eli@va.example, dana@va.example]")
    other = "state: state.db\nrules: [../rules.yaml]\n"
    (folder / "eli.yaml").write_text(eli + other + pages % "eli")
    (folder / "eli.password").write_text("eli-word")

    class Many(House):
        def command(self, *words: str) -> list[str]:
            return [super().command()[0], "--config", str(folder), *words]

    return Many(folder=place.folder, dav=place.dav, log=place.log), folder


def _health(port: int) -> dict[str, object]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            found: dict[str, object] = json.load(answer)
            return found
    except OSError:
        return {}


def _reload(life: Life, times: int) -> None:
    life.process.send_signal(signal.SIGHUP)
    assert life.waits(lambda: life.log.read_text().count("configuration reloaded") == times)


def test_owners_live_side_by_side(place: House, tmp_path: Path) -> None:
    """Both ask about the meeting both see; one comes, goes and is broken while the other goes on."""
    port = free_port()
    many, folder = owners(place, port)
    with living(many, tmp_path, **WATCHED) as life:
        assert life.hears("WATCHDOG=1")
        place.put("fresh", 30, to="fresh@acme.example")
        both = {"dana@va.example", "eli@va.example"}
        assert life.waits(
            lambda: (
                {one["sender"] for one in place.taken() if "fresh@acme.example" in one["recipients"]} >= both
            )
        )
        assert life.waits(lambda: _health(port).get("owners") == 2)
        eli = folder / "eli.yaml"
        right = eli.read_text()
        eli.write_text(right + "colour: red\n")
        _reload(life, 1)
        assert life.logs("eli.yaml:")
        assert '"owner": "eli"' in life.log.read_text()
        place.put("second", 30, to="second@acme.example")
        assert life.waits(lambda: mailed(place, "second@acme.example"))
        eli.unlink()
        _reload(life, 2)
        assert '"event": "let go"' in life.log.read_text()
        fay = right.replace("eli@", "fay@").replace("eli.password", "fay.password")
        (folder / "fay.yaml").write_text(fay + "owner: fay\n")
        (folder / "fay.password").write_text("fay-word")
        _reload(life, 3)
        assert life.waits(lambda: _health(port).get("owners") == 2)
        assert life.stop() == 0
    assert "Traceback" not in life.log.read_text()
    rows = many.json("outbox", "list")
    assert isinstance(rows, list)
    assert {"dana"} <= {one["owner"] for one in rows} <= {"dana", "fay"}
