"""The dashboard in the configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.config.problems import ConfigProblems
from daemon.config.settings import load
from tests.support.files import CONFIG, write


def written(folder: Path, dashboard: str) -> Path:
    """The manual's configuration with this as its last line."""
    return write(folder, f"{CONFIG}dashboard: {dashboard}\n")


def told(path: Path) -> str:
    """What is wrong with it, without the folder."""
    with pytest.raises(ConfigProblems) as raised:
        load(path)
    return "\n".join(map(str, raised.value.problems)).replace(f"{path.parent}/", "")


def test_it_is_there_when_it_is_named(tmp_path: Path) -> None:
    """An empty block is enough, and nobody else reaches it; without a block there is none."""
    found = load(written(tmp_path, "{}"))
    assert found.config.dashboard is not None
    assert (found.config.dashboard.listen, found.config.dashboard.password) == ("127.0.0.1:8471", None)
    assert not any("dashboard" in one for one in found.cautions())
    assert load(write(tmp_path)).config.dashboard is None


@pytest.mark.parametrize("place", ["127.0.0.1:8471", "[::1]:8471", "unix:/run/rebookd/dashboard.sock"])
def test_places_that_need_no_password(tmp_path: Path, place: str) -> None:
    """Both families of the loopback, and a socket."""
    found = load(written(tmp_path, f'{{listen: "{place}"}}')).config.dashboard
    assert found is not None
    assert found.listen == place


def test_a_place_that_others_reach_needs_a_password_and_is_cautioned_about(tmp_path: Path) -> None:
    """With one it works, and what a password over plain HTTP means is told."""
    found = load(written(tmp_path, '{listen: "0.0.0.0:8471", password: {file: dashboard.password}}'))
    assert [one for one in found.cautions() if "not encrypted on the way" in one]
    (tmp_path / "dashboard.password").write_text("x")
    (tmp_path / "dashboard.password").chmod(0o644)
    assert [one for one in found.cautions() if one.endswith("dashboard.password")]


@pytest.mark.parametrize(
    ("dashboard", "head", "hint"),
    [
        ("{listen: '0.0.0.0:8471'}", "28:21: error: other machines can reach", "add password: {file"),
        ("{listen: '[::]:8471'}", "28:21: error: other machines can reach", "listen at 127.0.0.1:8471"),
        ("{listen: 8471}", "28:21: error: a place to listen at", "unix:/run/rebookd/dashboard.sock"),
        ("{listen: 'unix:a.sock'}", "28:21: error: a socket is a whole path", ""),
        ("{password: hunter2}", "28:23: error: a secret is never", "write {"),
        ("{pasword: {env: X}}", "28:13: error: unknown key 'pasword'", "did you mean"),
    ],
)
def test_mistakes_are_told_at_their_place(tmp_path: Path, dashboard: str, head: str, hint: str) -> None:
    """Each with what to write instead, and never with a password in it."""
    found = told(written(tmp_path, dashboard))
    assert found.startswith(f"config.yaml:{head}")
    assert hint in found
    assert "hunter2" not in found


def test_it_has_a_place_of_its_own(tmp_path: Path) -> None:
    """The web server before the answer pages must never show it to everybody."""
    answers = "answers: {public_url: https://m.example, listen: '127.0.0.1:8471'}\n"
    path = write(tmp_path, f"{CONFIG}{answers}dashboard: {{}}\n")
    assert "the answer pages listen here already" in told(path)
