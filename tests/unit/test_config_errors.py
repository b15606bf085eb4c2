"""How mistakes in the owner's files are told: every one, at its place, in plain words."""

from __future__ import annotations

import re
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.config.settings import ConfigProblems, Problem, load, load_policy, read_yaml
from daemon.config.yaml_tree import parse_yaml
from rules.detections import DETECTORS
from tests.support.files import CONFIG, RULES, write

WORDS = ", ".join(DETECTORS)

SECONDS = 2.0
"""What reading one hostile file may cost in CPU (on a busy machine, three times that)."""

QUESTIONS = "unconfirmed, declined, cancelled, missed, unaccounted, conflict, away, silent, ending"


def problems(path: Path) -> list[Problem]:
    """Everything wrong with the files at ``path``, which must not load."""
    with pytest.raises(ConfigProblems) as raised:
        load(path)
    return raised.value.problems


def told(path: Path) -> str:
    """The same as the owner reads it, without the folder."""
    return "\n".join(map(str, problems(path))).replace(f"{path.parent}/", "")


def yaml_told(text: str) -> str:
    """What reading a file of this text says; the text must not be readable."""
    with pytest.raises(ConfigProblems) as raised:
        parse_yaml(text, "f.yaml")
    return str(raised.value)


def test_a_misspelt_word_looks_like_this(tmp_path: Path) -> None:
    """The whole rendering: place, line, carets, help."""
    path = write(tmp_path, rules=RULES.replace("when: unconfirmed", "when: unconfirmd"))
    assert (
        told(path)
        == f"""\
rules.yaml:9:11: error: 'unconfirmd' is not one of {QUESTIONS}
    9 |     when: unconfirmd
      |           ^^^^^^^^^^
      = help: did you mean 'unconfirmed'?"""
    )


def test_all_mistakes_of_all_files_come_at_once(tmp_path: Path) -> None:
    """Configuration first, then each rules file, each from top to bottom, one problem per mistake."""
    config = """\
version: 1
me:
  name: Dana
  adresses: [dana@example.net]
  time_zone: Lisbon
  working_hours: {mon-thu: 09:00-17:30, fry: 09:00-13:00}
  holidays: NOO
accounts:
  own:
    caldav: {url: dav.example.net, username: dana, password: hunter2}
    poll_every: 5
  acme:
    outlook: {tenant: x}
mail:
  from: Dana
  smtp: {host: mail.example.net, port: 99999, security: none, username: dana, password: {envv: X}}
answers: {}
rules: [rules.yaml, missing.yaml]
"""
    rules = """\
version: 1
rules:
  - name: a
    match: {account: akme}
    when: unconfirmd
    then:
      - {step: x, do: notify, at: 1h before start}
  - name: a
    when: {conflict: {keep: [account: own]}}
    then:
      - {do: notify, at: 48h befor start, slotz: 3}
    mode:
"""
    path = write(tmp_path, config, rules=rules)
    heads = [line for line in told(path).splitlines() if ": error: " in line]
    assert heads == [
        "config.yaml:4:3: error: unknown key 'adresses'",
        "config.yaml:5:14: error: 'Lisbon' is not a time zone",
        "config.yaml:6:41: error: 'fry' is not a day of the week",
        "config.yaml:7:13: error: 'NOO' is not a country",
        "config.yaml:10:62: error: a secret is never written in this file",
        "config.yaml:11:17: error: write a unit, such as 48h",
        "config.yaml:13:5: error: 'client_id' is missing",
        "config.yaml:13:23: error: a tenant is expected here, not 'x'",
        "config.yaml:15:9: error: 'Dana' is not a mail address",
        "config.yaml:16:40: error: must be at most 65535",
        "config.yaml:16:90: error: 'envv' is not one of env, file, credential, command",
        "config.yaml:17:1: error: 'public_url' is missing",
        "config.yaml:18:21: error: there is no file missing.yaml",
        "rules.yaml:4:22: error: 'akme' is not one of your accounts: own, acme",
        f"rules.yaml:5:11: error: 'unconfirmd' is not one of {QUESTIONS}",
        "rules.yaml:8:11: error: two rules are called 'a'",
        "rules.yaml:9:30: error: 'account: own' has a space",
        "rules.yaml:11:9: error: 'step' is missing",
        "rules.yaml:11:26: error: 'befor' is not one of before, after",
        "rules.yaml:11:43: error: unknown key 'slotz'",
        "rules.yaml:12:5: error: nothing is written here",
    ]
    assert "hunter2" not in told(path)


@pytest.mark.parametrize(
    ("old", "new", "head", "hint"),
    [
        (
            "holidays: PT",
            "holidays: NO-99",
            "config.yaml:8:13: error: '99' is not a part of NO",
            "parts of NO are",
        ),
        ("holidays: PT", "holidays: ZZ", "config.yaml:8:13: error: the holidays of 'ZZ' are not known", ""),
        ("holidays: PT", "language: de", "config.yaml:8:13: error: 'de' is not one of en, pt", ""),
        (
            "dana@acme.example]",
            "dana@va.example]",
            "config.yaml:5:32: error: 'dana@va.example' is already",
            "take",
        ),
        (
            "time_zone: Europe/Lisbon",
            "time_zone: Europe/Lisboa",
            "config.yaml:6:14: error:",
            "did you mean 'Europe/L",
        ),
        (
            "time_zone: Europe/Lisbon",
            "time_zone: ../etc",
            "config.yaml:6:14: error: '../etc' is not a time",
            "",
        ),
        (
            "  time_zone: Europe/Lisbon\n",
            "",
            "config.yaml:3:1: error: 'time_zone' is missing",
            "write it like time_",
        ),
        ("version: 1", "version: 2", "config.yaml:2:10: error: must be 1, not 2", "write version: 1"),
        (
            "state: state.db",
            "state: mysql://x/y",
            "config.yaml:9:8: error: a state is a file, or",
            "write it",
        ),
        ("state: state.db", "state: postgresql://x", "config.yaml:9:8: error: the address names no", ""),
        ("5m", "0s", "config.yaml:17:17: error: must be between 1s and 1 day", "write it like 5m"),
        ("5m", "1 business day", "config.yaml:17:17: error: must be between 1s and 1 day", ""),
        (
            "https://dav.va",
            "http://dav.va",
            "config.yaml:21:12: error: http:// shows your password",
            "use https://",
        ),
        ("https://dav.va", "ftp://dav.va", "config.yaml:21:12: error: 'ftp' is not one of https, http", ""),
        (
            "security: starttls",
            "security: none",
            "config.yaml:26:54: error: 'security: none' shows your",
            "use",
        ),
        (
            "rules: [rules.yaml]",
            "  imap: {host: mail.va.example, security: none, username: dana, password: {env: X}}",
            "config.yaml:27:43: error: 'security: none' shows your",
            "use tls",
        ),
        (
            "rules: [rules.yaml]",
            "webhooks: {crm: {url: http://crm.va.example/, secret: {env: X}}}",
            "config.yaml:27:23: error: http:// shows what is posted",
            "use https",
        ),
        (
            "rules: [rules.yaml]",
            "webhooks: {crm: {url: crm.va.example, secret: {env: X}}}",
            "config.yaml:27:23: error: a whole address",
            "write it like https://",
        ),
        (
            "client: Acme",
            "mode: manual",
            "config.yaml:18:11: error: 'manual' is not one of observe, draft",
            "",
        ),
        (
            "security: starttls",
            "security: ssl",
            "config.yaml:26:54: error: 'ssl' is not one of starttls, tls",
            "",
        ),
        (
            "  from: Dana Reyes <dana@va.example>\n",
            "",
            "config.yaml:24:1: error: 'from' is missing",
            "write it like",
        ),
        ("rules: [rules.yaml]", "rules: []", "config.yaml:27:8: error: an empty list does nothing", ""),
        (
            "client: Acme",
            "client: 3",
            "config.yaml:18:13: error: text is expected here, not 3",
            'write it in quotes: "3"',
        ),
        ("  acme:\n", "  acme corp:\n", "config.yaml:11:3: error: 'acme corp' is not a name", ""),
        (
            "{env: DAV_PASSWORD}",
            "{command: pass}",
            "config.yaml:23:27: error: a command is a list",
            "write it like",
        ),
        ("{env: DAV_PASSWORD}", "", "config.yaml:22:7: error: a username needs a password", "add password"),
        (
            "      username: dana\n      password: {env",
            "      password: {env",
            "config.yaml:22:7: error: a password",
            "add",
        ),
    ],
)
def test_a_mistake_in_the_configuration(tmp_path: Path, old: str, new: str, head: str, hint: str) -> None:
    """One mistake gives one problem with its place and a way out."""
    config = CONFIG.replace(old, new, 1)
    assert config != CONFIG
    found = [each for each in problems(write(tmp_path, config)) if "accounts:" not in each.message]
    assert len(found) == 1
    assert str(found[0]).replace(f"{tmp_path}/", "").startswith(head)
    assert found[0].help.startswith(hint)


def test_names_that_no_account_has_are_found(tmp_path: Path) -> None:
    """A rule for an account or client that does not exist would be silently false for ever."""
    rules = RULES.replace("account: acme", "account: acne, client: [Acme, Initech, A*]").replace(
        ":acme,", ":own,"
    )
    assert [(each.line, each.message, each.help) for each in problems(write(tmp_path, rules=rules))] == [
        (8, "'acne' is not one of your accounts: acme, own", "did you mean 'acme'?"),
        (8, "'Initech' is not one of your clients: Acme", ""),
    ]


def test_rules_in_several_files_are_held_against_each_other(tmp_path: Path) -> None:
    """A second guard, a name used twice, a circle: each is told in the file that has it."""
    step = "[{step: s, do: notify, at: 1h before start}]"
    one = f"version: 1\nguard: {{}}\nrules: [{{name: a, when: conflict, inhibited_by: b, then: {step}}}]\n"
    two = (
        f"version: 1\nguard: {{}}\nrules:\n  - {{name: a, when: conflict, then: {step}}}\n"
        f"  - {{name: b, when: conflict, inhibited_by: a, then: {step}}}\n"
    )
    config = CONFIG.replace("[rules.yaml]", "[one.yaml, two.yaml, two.yaml]")
    found = [
        (Path(each.file).name, each.line, each.message)
        for each in problems(write(tmp_path, config, one=one, two=two))
    ]
    assert found == [
        ("config.yaml", 27, "this file is already in the list"),
        ("one.yaml", 3, "'a' and 'b' inhibit each other"),
        ("two.yaml", 2, f"the guard is already in {tmp_path / 'one.yaml'}"),
        ("two.yaml", 4, "two rules are called 'a'"),
    ]


def test_an_unreadable_rules_file_does_not_hide_the_others(tmp_path: Path) -> None:
    """Nor does it make names in them look wrong that it may hold."""
    config = CONFIG.replace("[rules.yaml]", "[one.yaml, two.yaml]")
    one = "version: 1\nrules: [{name: a, when: conflict, inhibited_by: b, then: []}]\n"
    found = problems(write(tmp_path, config, one=one, two="rules: [\n"))
    assert [(Path(each.file).name, each.line, each.message) for each in found] == [
        ("one.yaml", 2, "an empty list does nothing"),
        ("two.yaml", 1, "a value is missing here"),
    ]


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("a: 1\na: 2\n", None),
        ("a: &x 1\nb: *x\n", "f.yaml:1:4: error: an anchor: &x"),
        ("b: *x\n", "f.yaml:1:4: error: an alias: *x"),
        ("<<: {a: 1}\n", "f.yaml:1:1: error: a merge key: <<"),
        ("a: !!str 5\n", "f.yaml:1:4: error: a tag: tag:yaml.org,2002:str"),
        (
            "a: !!python/object:os.system x\n",
            "f.yaml:1:4: error: a tag: tag:yaml.org,2002:python/object:os.system",
        ),
        ("a: 1\n---\nb: 1\n", "f.yaml:2:1: error: a second document"),
        ("? [a]\n: b\n", "f.yaml:1:3: error: a key must be plain text"),
        ("\ta: 1\n", "f.yaml:1:1: error: a tab in front of the line"),
        ("a:\n  \tb: 1\n", "f.yaml:2:3: error: a tab in front of the line"),
        ("a: \x07\n", "f.yaml:1:4: error: a character that cannot be seen"),
        ("a: \u2028\n", "f.yaml:1:4: error: a character that cannot be seen"),
        ("a: [1, 2\nb: 3\n", "f.yaml:2:2: error: a bracket that is not closed, or a missing comma"),
        ("a: 'x\n", "f.yaml:1:6: error: the file ends inside a quoted text"),
        ("a: b: c\n", "f.yaml:1:5: error: a ':' that does not fit here"),
        ("a:\n  b: 1\n c: 2\n", "f.yaml:3:2: error: this line is not indented like its neighbours"),
        ("a: @x\n", "f.yaml:1:4: error: a text cannot start with this character"),
        ('a: "\\q"\n', "f.yaml:1:6: error: an escape that YAML does not know"),
        ("", "f.yaml:1:1: error: this file is empty"),
        ("# nothing\n", "f.yaml:1:1: error: this file is empty"),
    ],
)
def test_yaml_that_surprises_is_refused(text: str, head: str | None) -> None:
    """What YAML allows and people do not expect is named, with line and column."""
    if head is None:
        (found,) = parse_yaml(text, "f.yaml").problems
        assert str(found).splitlines()[0] == "f.yaml:2:1: error: 'a' is already given on line 1"
    else:
        assert yaml_told(text).splitlines()[0] == head


def test_a_key_given_twice_is_told_with_everything_else(tmp_path: Path) -> None:
    """A duplicate key does not stop the reading."""
    rules = RULES.replace("    mode: auto\n", "    mode: auto\n    mode: aut0\n").replace(
        "when: unaccounted", "when: x"
    )
    assert [each.message[:36] for each in problems(write(tmp_path, rules=rules))] == [
        "'mode' is already given on line 11",
        "'x' is not one of unconfirmed, decli",
    ]


@pytest.mark.parametrize(
    ("raw", "message", "line", "column"),
    [
        (b"\xef\xbb\xbfversion: 1\n", "this file starts with a byte order mark", 1, 1),
        ("version: 1\n".encode("utf-16"), "this file starts with a byte order mark", 1, 1),
        ("version: 1\nä: é".encode("latin-1"), "this is not UTF-8", 2, 1),
        (b"a: 1\n" * 60_000, "this file is larger than 256 KiB", 1, 1),
    ],
)
def test_a_file_that_is_not_utf8_or_too_large(
    tmp_path: Path, raw: bytes, message: str, line: int, column: int
) -> None:
    """One clear problem instead of many strange ones."""
    (tmp_path / "rules.yaml").write_bytes(raw)
    with pytest.raises(ConfigProblems) as raised:
        load_policy(tmp_path / "rules.yaml")
    (found,) = raised.value.problems
    assert (found.message, found.line, found.column) == (message, line, column)


def test_a_missing_configuration_says_how_to_begin(tmp_path: Path) -> None:
    """The first thing a newcomer sees is the command that helps."""
    with pytest.raises(
        ConfigProblems, match="No such file or directory\n      = help: write one with `rebookd init`"
    ):
        load(tmp_path / "config.yaml")
    with pytest.raises(ConfigProblems, match="Is a directory"):
        read_yaml(tmp_path)


BOMBS = {
    "aliases": "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*a, *a, *a, *a]\n" for n in range(10_000)),
    "merges": "".join(f"a{n}: &a{n} {{<<: *a{n}}}\n" for n in range(10_000)),
    "duplicates": "a: 1\n" * 50_000,
    "brackets": "[" * 250_000,
    "braces": "{a: " * 60_000,
    "dashes": "- " * 120_000,
    "questions": "? " * 120_000,
    "values": "- a: [b, c]\n" * 21_000,
    "word": "a" * 250_000,
    "quoted": "'" + "a\n" * 120_000,
    "numbers": "a: " + "9" * 250_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_yaml_bomb_is_one_problem_and_costs_little(name: str) -> None:
    """Alias, merge-key and nesting bombs end in a problem before they can grow (CPU time, not the clock)."""
    before = time.process_time()
    found = problems_in(BOMBS[name])
    assert time.process_time() - before < 3 * SECONDS
    assert len(found) <= 52
    assert len("".join(map(str, found))) < 40_000


def problems_in(text: str) -> list[Problem]:
    """What is wrong with a file of this text, if anything."""
    try:
        return parse_yaml(text, "f.yaml").problems
    except ConfigProblems as error:
        return error.problems


def test_a_long_line_is_shown_around_its_mistake() -> None:
    """The line is cut, the carets still stand under the place."""
    shown = yaml_told("a: [" + "x, " * 500 + "&anchor y, " + "z, " * 500 + "]")
    head, source, carets, hint = shown.splitlines()
    assert "an anchor: &anchor" in head
    assert hint.startswith("      = help:")
    assert len(source) < 200
    assert source[carets.index("^") : carets.rindex("^") + 1] == "&anchor y"


def test_carets_stand_under_wide_characters_too() -> None:
    """A Chinese character takes two cells, a combining accent none."""
    _, source, carets, _ = yaml_told("{名前: &x 1}").splitlines()
    assert carets.index("^") == source.index("&x") + 2


def test_nothing_printed_moves_the_cursor() -> None:
    """Control and reordering characters in a file are shown by number."""
    for char in ("\x1b", "\x9b", "\u202e", "\u200f"):
        text = yaml_told(f"a: &x {char}[31m\n")
        assert char not in text


TOKENS = (
    "",
    "x",
    ":",
    "[",
    "{",
    "]",
    "}",
    "- ",
    "  ",
    "null",
    "~",
    "17:30",
    "-1",
    "999999999999999999999",
    "'",
    '"',
)
MORE = (
    "\t",
    "&a",
    "*a",
    "<<: x",
    "!!x",
    "|",
    ">",
    "#",
    "é",
    "\x00",
    "\u2028",
    "\ufeff",
    "? ",
    "---",
    "true",
    "[]",
    "{}",
)


@st.composite
def mutated(draw: Any) -> tuple[str, str]:
    """The manual's files with one to three pieces cut out, doubled, swapped or replaced."""
    texts = [CONFIG, RULES]
    for _ in range(draw(st.integers(1, 3))):
        which = draw(st.integers(0, 1))
        text = texts[which]
        words = [found.span() for found in re.finditer(r"[\w@.-]+|\S|\n *", text)]
        start, end = words[draw(st.integers(0, len(words) - 1))]
        other = words[draw(st.integers(0, len(words) - 1))]
        piece = draw(st.sampled_from([*TOKENS, *MORE, text[start:end] * 2, text[slice(*other)]]))
        texts[which] = text[:start] + piece + text[end:]
    return texts[0], texts[1]


@given(mutated())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_mutation_is_valid_or_told_with_its_place(files: tuple[str, str]) -> None:
    """Whatever happens to the files, the answer is settings or problems at places that exist."""
    with TemporaryDirectory() as folder:
        path = write(Path(folder), files[0], rules=files[1])
        try:
            load(path, thorough=False)
        except ConfigProblems as error:
            found = error.problems
        else:
            return
        assert found
        for each in found:
            file = Path(each.file)
            lines = (
                file.read_text(encoding="utf-8").replace("\r", "\n").split("\n") if file.exists() else [""]
            )
            assert 1 <= each.line <= len(lines)
            assert 1 <= each.column <= len(lines[each.line - 1]) + 1
            assert each.message
            assert "\n" not in each.message
            assert not re.search(
                r"Input should|Extra inputs|Field required|Value error|pydantic", each.message
            )
            assert each.message != "this value does not fit here"
