"""What ``deploy/`` holds fits together and fits the program: it names no secret, and starts what is there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import click
import pytest
from ruamel.yaml import YAML

from daemon.__main__ import main
from daemon.loop import GRACE
from tests.support.postgresql import SUPERUSER, shared_server

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
GIVEN_BY_THE_OWNER = {"owners", "secrets"}
"""What lies beside the compose file where it is used."""


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The compose file; what says a thing twice is no YAML."""
    found: dict[str, Any] = YAML(typ="safe").load(DEPLOY / "compose.yaml")
    return found


@pytest.fixture(scope="module")
def dockerfile() -> list[list[str]]:
    """The Dockerfile's lines, each in words."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line and not line.startswith("#")]


def _taken(words: list[str]) -> dict[str, Any]:
    """What rebookd makes of a command line, which must be one of its own."""
    parent = click.Context(main, info_name="rebookd")
    options, rest, _ = main.make_parser(parent).parse_args(args=words)
    command = main.get_command(parent, rest[0])
    assert command is not None
    return {**options, **command.make_context(rest[0], rest[1:], parent=parent).params}


def _words(value: object) -> list[str]:
    """Every text in it."""
    if isinstance(value, dict):
        return [word for pair in value.items() for each in pair for word in _words(each)]
    if isinstance(value, list):
        return [word for each in value for word in _words(each)]
    return [str(value)]


def test_several_workers_share_one_database(compose: dict[str, Any]) -> None:
    """Workers are started when the database is well, restarted when they end, and given time to finish."""
    worker, database = compose["services"]["worker"], compose["services"]["database"]
    assert worker["deploy"]["replicas"] > 1
    assert worker["depends_on"]["database"]["condition"] == "service_healthy"
    assert database["healthcheck"]
    assert all(one["restart"] == "unless-stopped" for one in compose["services"].values())
    assert int(worker["stop_grace_period"].removesuffix("s")) > GRACE


def test_the_images_commands_are_of_this_program(
    compose: dict[str, Any], dockerfile: list[list[str]]
) -> None:
    """Both start a worker for a folder of owners, which is mounted there and cannot be written to."""
    worker = compose["services"]["worker"]
    (entry,) = (line[1] for line in dockerfile if line[0] == "ENTRYPOINT")
    assert entry.strip('["]').endswith("/rebookd")
    (started,) = ([word.strip('[",]') for word in line[1:]] for line in dockerfile if line[0] == "CMD")
    for words in (worker["command"], started):
        taken = _taken(words)
        assert taken["worker"]
        assert f"./owners:{taken['config']}:ro" in worker["volumes"]


def test_every_file_that_is_named_is_there(compose: dict[str, Any], dockerfile: list[list[str]]) -> None:
    """Beside the compose file lies all it mounts but what is the owners' own; the image is made of this."""
    mounted = [
        volume.partition(":")[0] for one in compose["services"].values() for volume in one.get("volumes", ())
    ]
    files = [name for name in mounted if name.startswith(".")]
    files += [one["file"] for one in compose["secrets"].values()]
    assert {name for name in mounted if not name.startswith(".")} == set(compose["volumes"])
    for name in files:
        path = (DEPLOY / name).relative_to(DEPLOY)
        assert path.parts[0] in GIVEN_BY_THE_OWNER or (DEPLOY / path).is_file(), name
    assert (DEPLOY / compose["services"]["worker"]["build"]["context"]).resolve() == ROOT
    copied = [line[1:-1] for line in dockerfile if line[0] == "COPY" and not line[1].startswith("--")]
    for name in (name for names in copied for name in names):
        assert (ROOT / name).exists(), name


def test_images_are_pinned(compose: dict[str, Any], dockerfile: list[list[str]]) -> None:
    """By what changes when something breaks: a major version, for Python the minor one."""
    for name, one in compose["services"].items():
        assert re.fullmatch(r"[a-z]+:\d+", one["image"]), name
    assert {line[1] for line in dockerfile if line[0] == "FROM"} == {"python:3.11-slim"}


def test_the_image_holds_what_was_tested_and_nobody_special_runs_it(dockerfile: list[list[str]]) -> None:
    """Every package is checked by its hash, and the user is a number that is not root's."""
    installs = [line for line in dockerfile if line[0] == "RUN" and "install" in line and "pip" in line[1]]
    locked, own = installs
    assert "--require-hashes" in locked
    assert locked[-1] == "requirements/postgres.txt"
    assert {"--no-deps", "--no-build-isolation"} <= set(own)
    (user,) = (line[1] for line in dockerfile if line[0] == "USER")
    assert int(user.partition(":")[0]) > 0


def test_no_secret_stands_in_the_files(compose: dict[str, Any]) -> None:
    """Environment variables say where secrets lie, never what they are; nobody but Caddy is reached."""
    for name, one in compose["services"].items():
        for value in one.get("environment", {}).values():
            assert value.startswith(("/run/", "/var/lib/")), name
        assert ("ports" in one) == (name == "web")
    assert not any("://" in word and "@" in word for word in _words(compose))
    assert compose["networks"]["inside"]["internal"] is True
    assert compose["services"]["database"]["networks"] == ["inside"]


def test_whether_a_worker_is_well_is_asked_in_python(compose: dict[str, Any]) -> None:
    """The check is a program, asks the page that tells, and waits no longer than Docker does."""
    worker = compose["services"]["worker"]
    *_, option, program = worker["healthcheck"]["test"]
    assert option == "-c"
    compile(program, "healthcheck", "exec")
    assert "http://127.0.0.1:8471/healthz" in program


@pytest.mark.postgresql
def test_the_role_is_nobody_special(tmp_path: Path) -> None:
    """The database's first start makes a role with its password, for which row-level security holds."""
    server = shared_server()
    (tmp_path / "word").write_text("it's a secret\n")
    text = (DEPLOY / "database.sql").read_text(encoding="utf-8")
    text = text.replace("/run/secrets/database-password", str(tmp_path / "word")).replace("rebookd", "agency")
    psql = [server.program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"]
    where = ["-h", str(server.folder), "-U", SUPERUSER, "postgres"]
    try:
        subprocess.run([*psql, *where], input=text, text=True, check=True, capture_output=True)
        with server.connect("agency", "agency") as conn:
            query = "SELECT rolsuper, rolbypassrls, rolcreatedb FROM pg_roles WHERE rolname = current_user"
            assert conn.execute(query).fetchone() == (False, False, False)
        with server.connect() as conn:
            query = "SELECT rolpassword FROM pg_authid WHERE rolname = 'agency'"
            assert str(conn.execute(query).fetchone()).startswith("('SCRAM-SHA-256")
    finally:
        server.drop("agency")
        with server.connect() as conn:
            conn.execute("DROP ROLE IF EXISTS agency")
