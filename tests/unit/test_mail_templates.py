"""Templates of the owner's own: what they can do, what they cannot, and how mistakes are reported."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.mail.compose import TemplateError, check_template, compose
from daemon.mail.letter import CLIENT_NAMES, OWNER_NAMES, values_of
from daemon.mail.template_files import BUILT_IN, BUILT_IN_FOR_OWNER, TEMPLATES
from daemon.mail.template_language import FILTERS, LARGEST_SOURCE, LOOP, Shape, read_template
from tests.support.letters import KINDS, html, letter, occurrence, opened, together

DOCS = Path(__file__).parents[2] / "docs" / "reference" / "templates.md"


def write(folder: Path, text: str, name: str = "sorry.txt") -> Path:
    """A template file."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_an_own_template_is_text_html_and_footer(tmp_path: Path) -> None:
    """The owner's words are used as they are, drawn as HTML, with the footer below."""
    write(tmp_path, "Subject: Hi {{ name }} <3\n\nA & B <i>\nline two\n\n{{ when }}\n{{ proposals }}\nBye\n")
    mail = compose(letter(template="sorry"), tmp_path)
    assert mail.subject == "Hi Jo <3"
    assert mail.text.startswith("A & B <i>\nline two\n\n  Kickoff review\n  Tue 3 March")
    assert "\n\n  1. Wed 4 March" in mail.text
    assert "“stop”" in mail.text
    drawn = html(mail)
    assert "A &amp; B &lt;i&gt;<br>\nline two</p>" in drawn
    assert drawn.count('class="number"') == 3


def test_own_html_is_escaped_and_framed(tmp_path: Path) -> None:
    """NAME.html replaces the drawn text; what it shows is escaped; the footer stays."""
    write(tmp_path, "Subject: Hi\n\ntext\n")
    write(tmp_path, "<h1>{{ title }}</h1>{{ when }}{{ proposals }}", "sorry.html")
    drawn = html(compose(letter(template="sorry", occurrence=occurrence(title="<b>x")), tmp_path))
    assert "<h1>&lt;b&gt;x</h1>" in drawn
    assert drawn.count('class="number"') == 3
    assert "“stop”" in drawn
    (tmp_path / "sorry.txt").unlink()
    with pytest.raises(TemplateError, match=r"sorry\.txt:1: this file cannot be read"):
        check_template("sorry", "reschedule", tmp_path)


def test_own_words_come_before_ours_only_when_named(tmp_path: Path) -> None:
    """A file called like a built-in template counts where a step names it."""
    write(tmp_path, "Subject: Mine\n\nmine\n", "confirm.txt")
    assert compose(letter(**KINDS["confirm"]), tmp_path).subject != "Mine"
    assert compose(letter(**KINDS["confirm"], template="confirm"), tmp_path).subject == "Mine"
    assert "sorry we did not get to talk" in compose(letter(template="sorry-we-missed-you"), tmp_path).text


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("Subject: x\n\n{{ namee }}\n", r":3: there is no 'namee' here; did you mean 'name'\?"),
        ("Subject: x\n\n{{ meeting.txet }}\n", r":3: there is no 'txet' here; did you mean 'text'\?"),
        ("Subject: x\n\n{% if name %}\na\n{% endif %}\n{{ bad }}\n", ":6: there is no 'bad' here"),
        ("Subject: x\n\n{{ reason }}\n", ":3: there is no 'reason' here"),
        ("Subject: x\n\n{{ name\n", ":4: |:3: "),
        ("Subject: x\n\n{% if name %}\n", ":4: a tag above is still open"),
        ("hello\n", ":1: the first line must be 'Subject: '"),
        ("Subject:\n\nhello\n", ":1: the first line must be 'Subject: '"),
        ("Subject: {{ proposals }}\n\nhello\n", ":1: a subject is one line"),
        ("Subject: x\n\n", ":1: the mail would be empty"),
        ("Subject: x\n\n{{ range(9) }}\n", ":3: 'call' is not part of mail templates"),
        ("Subject: x\n\n{{ name.upper() }}\n", ":3: 'call' is not part"),
        ("Subject: x\n\n{{ ''.__class__ }}\n", ":3: there is no '__class__' here"),
        ("Subject: x\n\n{{ name.__class__ }}\n", ":3: there is no '__class__' here"),
        ("Subject: x\n\n{{ slots.append }}\n", ":3: there is no 'append' here"),
        ("Subject: x\n\n{{ owner['name'] }}\n", ":3: 'getitem' is not part"),
        ("Subject: x\n\n{{ 'a' * 1000000000 }}\n", ":3: 'mul' is not part"),
        ("Subject: x\n\n{{ 9 ** 9 ** 9 }}\n", ":3: 'pow' is not part"),
        ("Subject: x\n\n{% set a = 1 %}\n", ":3: 'assign' is not part"),
        ("Subject: x\n\n{% macro f() %}{% endmacro %}\n", ":3: 'macro' is not part"),
        ("Subject: x\n\n{% include '/etc/passwd' %}\n", ":3: 'include' is not part"),
        ("Subject: x\n\n{{ name|center(1000000000) }}\n", ":3: there is no filter 'center'; there are"),
        ("Subject: x\n\n{{ name|safe }}\n", ":3: there is no filter 'safe'"),
        ("Subject: x\n\n{{ name is callable }}\n", ":3: there is no test 'callable'"),
        ("Subject: x\n\n{% for c in name %}{% endfor %}\n", ":3: a loop goes over one of meetings, slots"),
        ("Subject: x\n\n{% for a in slots %}{{ a.nope }}{% endfor %}\n", ":3: there is no 'nope' here"),
        ("Subject: x\n\n{% for a in slots %}{% endfor %}{{ a }}\n", ":3: there is no 'a' here"),
        (
            "Subject: x\n\n" + "{% for a in slots %}" * 3 + "{% endfor %}" * 3,
            ":3: a loop has one variable, and no more than two",
        ),
        ("Subject: x\n\nbell \x07\n", ":3: there is a control character"),
        ("Subject: x\n\n" + "x" * LARGEST_SOURCE, ":1: the template is larger than 64 KiB"),
        ("Subject: x\n\n{% for a in slots %}{% for b in slots %}" + "y" * 15000 + "{% endfor %}{% endfor %}",
         ":1: the mail would become too long"),
        ("Subject: x\n\n{{ '(' * 1 }}" + "{{ " + "(" * 2000 + "1" + ")" * 2000 + " }}", ":[13]: "),
        ("Subject: x\n\n{{ loop.index }}", ":3: there is no 'loop' here"),
        ("Subject: x\n\n{% if title < slots %}a{% endif %}\n", ":3: this cannot be filled in"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_place(tmp_path: Path, source: str, problem: str) -> None:
    """Every wrong template is a TemplateError of one line: file, line, what to do."""
    path = write(tmp_path, source)
    with pytest.raises(TemplateError) as caught:
        compose(letter(template="sorry"), tmp_path)
    assert re.match(re.escape(str(path)) + f"({problem})", str(caught.value))
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are reported at their line; a byte order mark is none of our business."""
    (tmp_path / "sorry.txt").write_bytes(b"Subject: x\n\nol\xe1\n")
    with pytest.raises(TemplateError, match=r"sorry\.txt:3: this line is not UTF-8"):
        check_template("sorry", "reschedule", tmp_path)
    (tmp_path / "sorry.txt").write_bytes(b"\xef\xbb\xbfSubject: x\r\n\r\nhello\r\n")
    assert compose(letter(template="sorry"), tmp_path).text.startswith("hello\n")


@pytest.mark.parametrize("name", ["../sorry", "/etc/passwd", "", ".", "a/b", "layout.html", "x" * 65])
def test_a_template_name_is_no_path(tmp_path: Path, name: str) -> None:
    """A name cannot leave the folder of the rules file."""
    with pytest.raises(TemplateError, match="give it another name"):
        check_template(name, "reschedule", tmp_path)


def test_a_missing_template_names_those_there_are(tmp_path: Path) -> None:
    """Templates for the owner and for others are not mixed up."""
    with pytest.raises(TemplateError, match="no such template; write this file or use another-time, confirm"):
        check_template("nope", "reschedule", tmp_path)
    with pytest.raises(TemplateError, match="use check-in, notify"):
        check_template("confirm", "notify", None)
    with pytest.raises(TemplateError, match="use another-time"):
        check_template("footer-owner", "confirm", None)
    for name in BUILT_IN:
        check_template(name, "reschedule", tmp_path)


@pytest.mark.parametrize("language", ["en", "pt"])
def test_our_own_templates_for_others_see_only_what_others_may(language: str) -> None:
    """The shipped words for clients pass the check with the clients' names alone."""
    for name in (*BUILT_IN, "footer-others"):
        read_template(TEMPLATES / language / f"{name}.txt", CLIENT_NAMES)
    assert {path.stem for path in (TEMPLATES / language).iterdir()} == {
        *BUILT_IN, *BUILT_IN_FOR_OWNER, "footer-others", "footer-owner", "footer-notice", "digest"
    }  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_templates_get_plain_data_of_exactly_the_documented_shape(kind: str) -> None:
    """Text, numbers, yes or no, lists and mappings of them: nothing with methods worth calling."""
    one = letter(**KINDS[kind])
    drawn = {"when": "", "proposals": "", "link": ""}
    values = values_of(one) | drawn
    values["meetings"] = [each | drawn for each in values["meetings"]]
    _has_shape(values, OWNER_NAMES if one.for_owner else CLIENT_NAMES)


def _has_shape(value: object, shape: Shape | None) -> None:
    if shape is None:
        assert type(value) in {str, int, bool}
    elif "[]" in shape:
        assert type(value) is list
        for item in value:
            _has_shape(item, {key: below for key, below in shape.items() if key != "[]"})
    else:
        assert type(value) is dict
        assert set(value) == set(shape)
        for key, below in shape.items():
            _has_shape(value[key], below)


def test_the_documented_template_works(tmp_path: Path) -> None:
    """The example of the reference page composes, with and without proposals."""
    source, several = re.findall(r"```jinja\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    write(tmp_path, source)
    with_slots = compose(letter(template="sorry"), tmp_path)
    assert with_slots.subject == "A new time for Kickoff review?"
    assert "Does one of these suit you?\n\n  1. " in with_slots.text
    assert (
        "When would suit you?\n\nDana Reyes\n" in compose(letter(template="sorry", slots=()), tmp_path).text
    )
    plain = compose(together(template="sorry"), tmp_path)
    assert plain.subject == "A new time for our 3 meetings?"
    assert "Does one of these suit you?\n\nKickoff review, Tue 3 March 10:00:\n  1. " in plain.text
    write(tmp_path, several)
    mail = compose(together(template="sorry"), tmp_path)
    assert mail.subject == "3 meetings: new times?"
    assert re.search(r"Retro\n  Tue 3 March 2026, .*\n.*\n\nRetro, Tue 3 March 10:00:\n  Tell me", mail.text)


def test_the_documented_names_are_those_there_are(tmp_path: Path) -> None:
    """The page lists every name, filter and template once, and each example value is the real one."""
    page = DOCS.read_text(encoding="utf-8")
    before, after = page.split("Only in mails to yourself")
    rows = [
        re.findall(r"^\| (`.*?) \| .* \|$", part.split("## The language")[0], re.MULTILINE)
        for part in (before, after)
    ]
    listed = [set(re.findall(r"`([a-z_.]+)`", " ".join(part))) for part in rows]
    assert listed[0] == _names(CLIENT_NAMES)
    assert listed[1] == _names(OWNER_NAMES) - _names(CLIENT_NAMES)
    for word in (*FILTERS, *(f"loop.{word}" for word in LOOP), *BUILT_IN, *BUILT_IN_FOR_OWNER):
        assert f"`{word}`" in page
    for kind, part in (("another-time", before), ("notify", after)):
        examples = re.findall(r"^\| `([a-z_.]+)`(?:, `[^|]*`)? \| [^|]* \| ([^|]+) \|$", part, re.MULTILINE)
        shown = [(name, value) for name, value in examples if value.strip() and "slot." not in name]
        rows_of = "".join(
            "{% for person in people %}{% if loop.first %}{{ " + name + " }}{% endif %}{% endfor %}\n"
            if name.startswith("person.") else "{{ " + name + " }}\n"
            for name, _ in shown
        )  # fmt: skip
        write(tmp_path, f"Subject: x\n{rows_of}")
        more = KINDS[kind] | ({"detector": "unconfirmed"} if kind == "notify" else {})
        text = compose(letter(**more, template="sorry", to_name="Jo"), tmp_path).text
        for name, value in shown:
            assert value.strip() in " ".join(text.split()), name


def _names(shape: Shape) -> set[str]:
    """How the page spells the names of a shape."""
    singular = {"slots": "slot", "people": "person", "meetings": "one"}
    spelled: set[str] = set()
    for name, below in shape.items():
        if below is None or name in singular:
            spelled.add(name)
        spelled |= {f"{singular.get(name, name)}.{part}" for part in below or () if part != "[]"}
    return spelled


def test_header_set_stays_exact_with_an_own_template(tmp_path: Path) -> None:
    """A template cannot add headers through its subject."""
    write(tmp_path, "Subject: x =?utf-8?q?Hi=0D=0ABcc:_evil@x.example?= {{ title }}?utf\n\nhello\n")
    message = opened(compose(letter(template="sorry", occurrence=occurrence(title="a=")), tmp_path))
    assert "Bcc" not in message
    assert "=?" not in message["Subject"]
