"""What lies on the disk, what compares secrets, and what a template can reach."""

from __future__ import annotations

import ast
import os
import re
import resource
import stat
from pathlib import Path

import pytest

from connectors.auth import TokenCache, new_key
from connectors.base import ConnectorError, NeedsLogin
from daemon.config.secret import Secret
from daemon.mail.compose import compose
from daemon.mail.template_language import LARGEST_OUTPUT, LARGEST_SOURCE, TemplateError
from tests.support.letters import KINDS, letter, occurrence
from tests.trust.conftest import Trial

ROOT = Path(__file__).parents[2]
WHERE = (
    "{{ X }}",
    "{% if X %}a{% endif %}",
    "{% for a in X %}{{ a }}{% endfor %}",
    "{{ 'a' if X else 'b' }}",
    "{{ X ~ X }}",
)
ESCAPES = (
    "''.__class__.__mro__[1].__subclasses__()",
    "''.__class__",
    "()|attr('__class__')",
    "name.__init__.__globals__",
    "owner.__class__.__base__",
    "self.__init__.__globals__.__builtins__",
    "self._TemplateReference__context",
    "lipsum.__globals__['os'].popen('id')",
    "cycler.__init__.__globals__.os",
    "joiner.__init__.__globals__",
    "namespace.__init__.__globals__",
    "get_flashed_messages.__globals__",
    "request.application.__globals__",
    "config.items()",
    "url_for.__globals__",
    "range(1000000000)",
    "dict(a=1)",
    "'{0.__class__}'.format(name)",
    "'{0.__class__.__mro__}'.format_map(owner)",
    "'%1000000000d' % 1",
    "'%1000000000d'|format(1)",
    "'a' * 1000000000",
    "[1] * 1000000000",
    "9 ** 9 ** 9",
    "name|center(1000000000)",
    "name|indent(1000000000)",
    "name|replace('', 'x' * 1000)",
    "name|wordwrap(1)",
    "slots|map('attr', '__class__')|list",
    "slots|map(attribute='__class__')|list",
    "slots|sort(attribute='__class__')",
    "slots|groupby('__class__')",
    "slots|tojson",
    "name|xmlattr",
    "name|safe",
    "name|escape|attr('unescape')()",
    "loop.__class__",
    "loop.cycle('a')",
    "loop(slots)",
    "caller()",
    "varargs",
    "__builtins__",
    "__import__('os').system('id')",
    "True.__class__",
    "none.__class__",
    "(1).real",
    "undefined_name.__class__",
    "name[0]",
    "owner['name']",
    "slots[::-1]",
    "name is filter",
    "name is sameas name",
    "name in [].__class__.__mro__",
    "'\\x41'.encode('idna')",
    "x.__class__ if x is defined else ''.__class__",
)
STATEMENTS = (
    "{% include '/etc/passwd' %}",
    "{% import 'os' as os %}",
    "{% from 'os' import system %}",
    "{% extends 'confirm.txt' %}",
    "{% set x = ''.__class__ %}",
    "{% set ns = namespace() %}",
    "{% macro f() %}{{ caller() }}{% endmacro %}",
    "{% call f() %}{% endcall %}",
    "{% filter upper %}x{% endfilter %}",
    "{% block a %}{% endblock %}",
    "{% autoescape false %}<b>{% endautoescape %}",
    "{% with x = 1 %}{{ x }}{% endwith %}",
    "{% do x %}",
    "{% for a in slots recursive %}{{ loop(slots) }}{% endfor %}",
    "{% for a, b in slots %}{% endfor %}",
    "{% for a in slots %}{% for b in slots %}{% for c in slots %}x{% endfor %}{% endfor %}{% endfor %}",
    "{% raw %}" * 10 + "{{ x }}",
    "{{ " + "(" * 3000 + "name" + ")" * 3000 + " }}",
    "{{ name" + " ~ name" * 9000 + " }}",
    "{% if name %}" * 1500 + "{% endif %}" * 1500,
    "{% for a in slots %}{% for b in slots %}" + "{{ title }}" * 5000 + "{% endfor %}{% endfor %}",
)


@pytest.mark.promise("security", "template sandbox: escapes and floods")
def test_a_template_reaches_and_floods_nothing(tmp_path: Path, trial: Trial) -> None:
    """Each known escape in each place: refused with its line, or harmless; little memory, no long mail."""
    tried = [one.replace("X", escape) for escape in ESCAPES for one in (WHERE if trial.full else WHERE[:2])]
    tried += STATEMENTS
    refused, before = 0, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for source in tried:
        for ending in ("txt", "html") if trial.full else ("txt",):
            (tmp_path / "own.txt").write_text("Subject: x\n\nhello\n", encoding="utf-8")
            (tmp_path / "own.html").unlink(missing_ok=True)
            head = "Subject: x\n\n" if ending == "txt" else ""
            (tmp_path / f"own.{ending}").write_text(head + source + "\n", encoding="utf-8")
            wide = occurrence(title="x" * 400)
            try:
                mail = compose(letter(template="own", occurrence=wide, **_plain()), tmp_path)
            except TemplateError as told:
                refused += "\n" not in str(told)
            else:
                assert len(mail.text) <= LARGEST_OUTPUT + 8192
                assert not re.search(r"<class |<function|<module|root:|uid=\d", mail.text + mail.raw.decode())
    (tmp_path / "own.txt").write_text("Subject: x\n\n{#" + "x" * LARGEST_SOURCE + "#}\n", encoding="utf-8")
    with pytest.raises(TemplateError, match="larger than 64 KiB"):
        compose(letter(template="own", **_plain()), tmp_path)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert grown < 256
    trial.saw(f"{len(tried)} templates", f"{refused} refused, the rest harmless, {grown} MiB")


def _plain() -> dict[str, object]:
    return {name: value for name, value in KINDS["another-time"].items() if name != "occurrence"}


SECRET = re.compile(
    r"(^|_)(secret|password|passwd|token|seal|signature|digest|hmac|mac|nonce|state|verifier)s?$"
)
ALLOWED = {
    ("connectors/signed.py", "again == token"),  # two of our own, whether a renewed one is another
    ("connectors/token_keeper.py", "self._kept.token == token"),  # the same
    ("connectors/caldav_sync.py", "listing.token == before"),  # a sync token, no secret
    ("connectors/google.py", "asked_token == token"),  # the same
    ("connectors/caldav_xml.py", "element.tag == SYNC_TOKEN"),  # its name
    ("daemon/poll.py", "row.shrink_seen == token"),  # what a suddenly smaller calendar was told by
    ("daemon/store/demotions.py", "row.rule_digest != digest"),  # of a rule's text
    ("daemon/standing.py", "one.digest == digest(rules[one.rule])"),  # the same
    ("daemon/config/servers.py", "chosen == by_token"),  # the name of a way to sign in
    ("daemon/own_keys.py", "self.place != Secret('file', (str(path),))"),  # where one lies
    ("daemon/web/app.py", "request.url.path != path_of(read[0], token)"),  # a link whose seal was checked
    (
        "daemon/demo/stand_in.py",
        "self.headers.get('Authorization') == f'Bearer {self.service.token}'",
    ),  # of a server that the demo plays itself
}
"""Comparisons of what is called like a secret and is none, or is compared with nothing a stranger sent."""


def _compared(tree: ast.AST) -> list[str]:
    """Comparisons by ``==`` and ``!=`` in which something is called like a secret."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            sides = [node.left, *node.comparators]
            if any(
                isinstance(one, ast.Constant) and isinstance(one.value, int | type(None)) for one in sides
            ):
                continue
            if any(SECRET.search(name.lower()) for one in sides for name in _named(one)):
                found.append(ast.unparse(node))
    return found


def _named(side: ast.AST) -> list[str]:
    """Every name within one side, also of what is called, encoded or looked up by a key."""
    found = []
    for node in ast.walk(side):
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            found.append(str(node.slice.value))
        found.append(node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", ""))
    return found


@pytest.mark.promise("security", "secrets are compared in constant time")
def test_secrets_are_compared_in_constant_time(trial: Trial) -> None:
    """No ``==`` on anything that is called like a secret; ``hmac.compare_digest`` where one is checked."""
    files = [path for room in ("rules", "connectors", "daemon") for path in (ROOT / room).rglob("*.py")]
    wrong, digests = [], 0
    for path in files:
        text = path.read_text(encoding="utf-8")
        name = str(path.relative_to(ROOT))
        digests += text.count("compare_digest(")
        for said in _compared(ast.parse(text)):
            states = re.search(r"State\.|\.state\b|\bSIGN_IN\b|Stage\.", said)
            wrong += [f"{name}: {said}"] if (name, said) not in ALLOWED and not states else []
    assert wrong == []
    for seen in (
        "given == self._password",
        "_digest(x) != said",
        "said == self._state.encode()",
        "f['state'] == a",
    ):
        assert _compared(ast.parse(seen)) != [], "it would not see one"
    assert digests >= 4
    trial.saw(f"{len(files)} files", f"{digests} comparisons by compare_digest, none by ==")


@pytest.mark.promise("security", "files that hold secrets")
def test_sign_ins_lie_where_only_their_owner_reads(tmp_path: Path, trial: Trial) -> None:
    """Whatever the umask and whatever lay there before; exchanged, cut or replaced ones are found out."""
    checks = 0
    for number, umask in enumerate((0o000, 0o022, 0o077)):
        folder = tmp_path / f"tokens-{number}"
        key = new_key()
        before = os.umask(umask)
        try:
            cache = TokenCache(folder, lambda key=key: key)
            with cache.locked("acme"):
                cache.save("acme", "refresh-token-of-acme")
            cache.save("own", "refresh-token-of-own")
            folder.chmod(0o755)
            cache.save("acme", "refresh-token-of-acme")
        finally:
            os.umask(before)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
            assert b"refresh-token" not in path.read_bytes()
            checks += 1
        sealed = (folder / "acme.token").read_bytes()
        for wrong in (
            sealed[:-1],
            b"",
            sealed[:60] + b"AAAA" + sealed[64:],
            b"\0" * 100,
            (folder / "own.token").read_bytes(),
        ):
            (folder / "acme.token").write_bytes(wrong)
            with pytest.raises((NeedsLogin, ConnectorError)) as told:
                cache.load("acme")
            assert "refresh-token" not in str(told.value)
            checks += 1
        victim = tmp_path / f"victim-{number}"
        victim.write_text("untouched")
        (folder / "acme.token").unlink()
        (folder / "acme.token").symlink_to(victim)
        cache.save("acme", "refresh-token-of-acme")
        assert victim.read_text() == "untouched"
        assert not (folder / "acme.token").is_symlink()
        checks += 1
    secret = tmp_path / "dav.password"
    secret.write_text("hunter2")
    for mode, warned in ((0o600, False), (0o640, False), (0o604, True), (0o644, True)):
        secret.chmod(mode)
        assert bool(Secret("file", (secret.name,)).caution(tmp_path)) is warned
        checks += 1
    trial.saw(
        f"{checks} checks",
        "0600 in 0700 under every umask, a link not followed, a copy without its key is nothing",
    )
