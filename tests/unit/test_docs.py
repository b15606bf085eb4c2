"""The documents say what is so: their YAML is loaded, their commands parsed, their links followed."""

from __future__ import annotations

import importlib.resources
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import pytest

from daemon.__main__ import COMMANDS, main
from daemon.config.settings import load, load_policy, validate
from daemon.config.yaml_tree import read_yaml
from daemon.exits import DONE, FAILED, INVALID_CONFIGURATION, SIGN_IN_NEEDED, TEMPORARY, WOULD_SEND
from daemon.rehearsal_file import RehearsalFile
from daemon.rehearse import rehearse
from rules.delivery import State
from rules.detections import DETECTORS
from rules.policy import Do, Mode
from tests.support.schema_tables import ROOT, documented, parts, with_tables

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
PAGES += sorted((ROOT / "docs").rglob("*.md"))

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)|src=\"([^\"]+)\"")
_SPAN = re.compile(r"`(rebookd(?: [^`]+)?)`")

STARTER = {
    name: importlib.resources.files("daemon").joinpath("init", name).read_text(encoding="utf-8")
    for name in ("config.yaml", "rules.yaml", "rules.test.yaml")
}


@dataclass(frozen=True)
class Block:
    """A fenced block and where it stands; ``rules`` is the rules file shown before it on its page."""

    page: Path
    line: int
    language: str
    text: str
    rules: str = ""

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def _blocks() -> list[Block]:
    found = []
    for page in PAGES:
        text, rules = page.read_text(encoding="utf-8"), ""
        for fence in _FENCE.finditer(text):
            indent = len(fence[1])
            body = "".join(line[indent:] or "\n" for line in fence[3].splitlines(keepends=True))
            line = text[: fence.start()].count("\n") + 1
            found.append(Block(page=page, line=line, language=fence[2], text=body, rules=rules))
            if fence[2] == "yaml" and body.startswith("version:") and "\nme:" not in body:
                rules = body
    return found


BLOCKS = _blocks()


def _dumped(data: dict[str, Any], path: Path) -> None:
    from ruamel.yaml import YAML

    with path.open("w", encoding="utf-8") as stream:
        YAML().dump(data, stream)


def _play(tests: Path) -> None:
    wanted = validate(RehearsalFile, read_yaml(tests))
    policy = load_policy(tests.parent / wanted.rules)
    for one in wanted.tests:
        assert rehearse(one, policy).failures == ()


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language == "yaml"], ids=str)
def test_every_yaml_block_is_valid(block: Block, tmp_path: Path) -> None:
    """A configuration loads, rules validate, rule tests pass; a part is laid over the starter file."""
    for name, text in STARTER.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (tmp_path / "block.yaml").write_text(block.text, encoding="utf-8")
    data = read_yaml(tmp_path / "block.yaml").data
    if block.text.startswith("# part of config.yaml"):
        _dumped(read_yaml(tmp_path / "config.yaml").data | data, tmp_path / "config.yaml")
        load(tmp_path / "config.yaml")
    elif block.text.startswith("# part of rules.yaml"):
        _dumped({"version": 1} | data, tmp_path / "rules.yaml")
        load_policy(tmp_path / "rules.yaml")
    elif "me" in data:
        load(tmp_path / "block.yaml")
    elif "tests" in data:
        (tmp_path / "rules.yaml").write_text(block.rules, encoding="utf-8")
        _play(tmp_path / "block.yaml")
    else:
        load_policy(tmp_path / "block.yaml")


def test_the_starter_files_tell_their_own_story(tmp_path: Path) -> None:
    """What init writes loads, and its rule tests pass and touch every rule."""
    for name, text in STARTER.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    settings = load(tmp_path / "config.yaml")
    _play(tmp_path / "rules.test.yaml")
    tests = validate(RehearsalFile, read_yaml(tmp_path / "rules.test.yaml"))
    touched = {name for one in tests.tests for name in rehearse(one, settings.policy).touched}
    assert touched == {rule.name for rule in settings.policy.rules}


def test_every_part_of_a_grammar_has_its_table() -> None:
    """No mapping of the three files is undocumented, and none is documented that does not exist."""
    assert documented() == set(parts())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_tables_are_those_of_the_grammar(page: Path) -> None:
    """Every key stands in the reference as the schema tells it; else run tests.support.schema_tables."""
    text = page.read_text(encoding="utf-8")
    assert with_tables(text) == text


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_documents_leads_somewhere(page: Path) -> None:
    """Relative links name files that are there, and headings that they hold."""
    for one, other in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        link = one or other
        if link.startswith("https:"):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.is_file(), link
        assert not anchor or anchor in _anchors(target), link


def _command_lines() -> list[tuple[str, str]]:
    found = []
    for block in BLOCKS:
        if block.language == "sh":
            for line in block.text.splitlines():
                words = re.search(r"(?:^|[ /])(rebookd(?: .*)?)$", re.split(" [#>] ", line)[0])
                if words and not re.search(r"(pipx|pip|venv|systemctl|journalctl|install) ", line):
                    found.append((str(block), words[1]))
    for page in PAGES:
        text = _FENCE.sub("", page.read_text(encoding="utf-8"))
        where = str(page.relative_to(ROOT))
        found += [(where, span) for span in _SPAN.findall(text) if not re.search(r"[\[|\]]", span)]
    return sorted(set(found))


@pytest.mark.parametrize(("where", "line"), _command_lines())
def test_every_command_shown_exists(
    where: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each command line of the documents is one that the program takes, options and arguments included."""
    monkeypatch.chdir(tmp_path)
    for name, text in STARTER.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    stands_for = {
        "ID": "1",
        "ID…": "1",
        "FILE…": "rules.test.yaml",
        "TIME": "2026-03-02T09:00:00Z",
        "STATE": "held",
        "KEY=VALUE": "client=Acme",
        "SPAN": "3d",
        "ADDRESS…": "jo@acme.example",
    }
    words = [stands_for.get(word, word) for word in shlex.split(line)[1:]]
    command: click.Command = main
    parent = click.Context(main, info_name="rebookd")
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(parent).parse_args(args=words)
        if not rest:
            return
        name, *words = rest
        found = command.get_command(parent, name)
        assert found is not None, f"{where}: there is no command {name}"
        command = found
    wanted = [one for one in command.params if isinstance(one, click.Argument) and one.required]
    if words or not wanted:
        command.make_context(command.name, words, parent=parent)


def _options(command: click.Command) -> set[str]:
    return {name for one in command.params for name in one.opts if name.startswith("--")} - {"--help"}


def test_the_reference_tells_every_command_and_option() -> None:
    """Each command has its heading, and its section names each of its options and no other."""
    text = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    head, *sections = re.split(r"^### `rebookd ([\w-]+)`$", text, flags=re.MULTILINE)
    told = dict(zip(sections[::2], sections[1::2], strict=True))
    assert set(told) == set(COMMANDS)
    parent = click.Context(main, info_name="rebookd")
    assert _options(main) <= set(re.findall(r"--[\w-]+", head))
    for name, section in told.items():
        command = main.get_command(parent, name)
        assert command is not None
        known = _options(command)
        if isinstance(command, click.Group):
            known |= {option for one in command.commands.values() for option in _options(one)}
            assert all(f"rebookd {name} {one}" in section for one in command.commands)
        section_options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", re.sub(r"\]\([^)]*\)", "", section)))
        assert section_options == known, name


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("delivery-states.md", list(State)),
        ("rules.md", [*Do, *Mode]),
        ("detectors.md", list(DETECTORS)),
        (
            "exit-codes-and-json.md",
            [DONE, FAILED, 2, INVALID_CONFIGURATION, SIGN_IN_NEEDED, TEMPORARY, WOULD_SEND],
        ),
    ],
)
def test_the_reference_names_every(page: str, words: list[object]) -> None:
    """Every state, action, mode, question and exit code has its word in the reference."""
    text = (ROOT / "docs/reference" / page).read_text(encoding="utf-8")
    for word in words:
        assert f"`{word}`" in text or f"| {word} |" in text or f"## {word}\n" in text, word


def test_the_map_names_files_that_are_there() -> None:
    """Every file of the source code map exists, in the folder named before it."""
    text = (ROOT / "docs/source-code-map.md").read_text(encoding="utf-8")
    for row in (line for line in text.splitlines() if line.startswith("|")):
        folder = Path()
        for name in re.findall(r"`([\w/.]+(?:\.py|/))`", row):
            if "/" in name.rstrip("/"):
                folder = Path(name).parent
                assert (ROOT / name).exists(), name
            else:
                assert (ROOT / folder / name).exists() or (ROOT / name).exists(), f"{folder}/{name}"
