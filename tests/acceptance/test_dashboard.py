"""The dashboard of a running daemon: it is there, it lets a mail go, and it follows the configuration."""

from __future__ import annotations

import re
import signal
import socket
import urllib.error
import urllib.request
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

from tests.acceptance.test_daemon import living, mailed
from tests.support.house import RULES, house


def asked(url: str, fields: dict[str, str] | None = None, **headers: str) -> tuple[int, str]:
    """The status and the text of an answer; with ``fields`` of a form that is sent."""
    body = urlencode(fields).encode() if fields is not None else None
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(urllib.request.Request(url, body, headers), timeout=10) as found:
            return found.status, found.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()
    except OSError:
        return 0, ""


def test_the_owner_lets_a_mail_go_in_the_browser(tmp_path: Path) -> None:
    """From the daemon's own page to the sink; with a password after the next reload."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        place = f"127.0.0.1:{free.getsockname()[1]}"
    url = f"http://{place}"
    (tmp_path / "house").mkdir()
    with house(tmp_path / "house", poll_every="1s") as there:
        config = there.folder / "config.yaml"
        before = config.read_text()
        config.write_text(f'{before}\ndashboard: {{listen: "{place}"}}\n')
        (there.folder / "rules.yaml").write_text(
            RULES.replace("when: unconfirmed", "when: unconfirmed\n    mode: approve")
        )
        with living(there, tmp_path) as life:
            there.put("held", 30, to="held@acme.example")
            assert life.waits(lambda: "held@acme.example" in asked(url)[1])
            assert asked(f"{url}/healthz")[0] == 200
            assert 'rebookd_deliveries{state="held"} 1.0' in asked(f"{url}/metrics")[1]
            assert not mailed(there, "held@acme.example")
            page = asked(url)[1]
            form = re.search(r'action="(/message/\d+/approve)".*?name="seal" value="(\w+)"', page, re.DOTALL)
            assert form is not None
            sent = asked(url + form[1], {"seal": unescape(form[2])}, Origin=url)
            assert sent[0] == 200, sent
            assert life.waits(lambda: mailed(there, "held@acme.example"))
            (there.folder / "word").write_text("secret\n")
            (there.folder / "word").chmod(0o600)
            config.write_text(f'{before}\ndashboard: {{listen: "{place}", password: {{file: word}}}}\n')
            life.process.send_signal(signal.SIGHUP)
            assert life.waits(lambda: asked(url)[0] == 401)
            assert asked(url, Authorization="Basic bWU6c2VjcmV0")[0] == 200
            assert life.stop() == 0
        assert "Traceback" not in life.log.read_text()
