"""The tables of the reference, made from the grammars themselves.

A page holds ``<!-- keys of NAME -->``, a table, ``<!-- end of keys -->``; NAME is a part of a grammar, such
as ``Step``, or ``config.yaml``, ``rules.yaml`` or ``rules.test.yaml`` for the top of that file. After a key
changes, ``python -m tests.support.schema_tables`` writes the tables anew.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from daemon.config.file_schema import _Generator, schema
from daemon.rehearsal_file import RehearsalFile

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))

HEADINGS = {
    "AccountConfig": "accounts",
    "AccountGiven": "accounts",
    "Expected": "expect",
    "MarksConfig": "marks",
    "Moment": "timeline",
    "Moved": "move",
    "Rule": "rules",
    "RuleTest": "tests",
    "SilenceGiven": "silence",
    "Step": "then",
    "TextMatch": "title and location",
    "WebhookConfig": "webhooks",
}
"""The headings under which parts are told, where they are not the part's own name in small letters."""

_TABLE = re.compile(r"(<!-- keys of (\S+) -->\n)(.*?)(<!-- end of keys -->)", re.DOTALL)


def grammars() -> dict[str, dict[str, Any]]:
    """The JSON Schema of each file, by the file's name."""
    return {
        "config.yaml": schema("config"),
        "rules.yaml": schema("rules"),
        "rules.test.yaml": RehearsalFile.model_json_schema(by_alias=True, schema_generator=_Generator),
    }


@cache
def parts() -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Every mapping of every grammar with the definitions it refers to, by its name."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {}
    for file, whole in grammars().items():
        definitions = whole.get("$defs", {})
        found[file] = (whole, definitions)
        found |= {name: (one, definitions) for name, one in definitions.items() if one.get("properties")}
    return found


def table(name: str) -> str:
    """The table of one part's keys."""
    part, definitions = parts()[name]
    required = set(part.get("required", ()))
    rows = ["| key | meaning | values | without it |", "|---|---|---|---|"]
    for key, one in part["properties"].items():
        told = one.get("description") or definitions.get(_part(one), {}).get("description", "")
        meaning = " ".join(str(told).split()).replace("|", "\\|")
        default = "*required*" if key in required else _shown(one["default"]) if "default" in one else ""
        rows.append(f"| `{key}` | {meaning} | {_values(one, definitions)} | {default} |")
    return "\n".join(rows) + "\n"


def _values(one: dict[str, Any], definitions: dict[str, Any]) -> str:
    """What may be written: the words to choose from, the range, or examples."""
    name = _part(one)
    if name:
        other = definitions[name]
        if "enum" in other:
            return ", ".join(f"`{word}`" for word in other["enum"])
        heading = HEADINGS.get(name, name.lower())
        return f"[{heading}](#{heading.replace(' ', '-')})"
    if "enum" in one:
        return ", ".join(f"`{word}`" for word in one["enum"])
    if one.get("type") == "boolean":
        return "`true`, `false`"
    if "minimum" in one and "maximum" in one:
        return f"{one['minimum']} to {one['maximum']}"
    words = [each for each in one.get("oneOf", ()) if "enum" in each]
    if words:
        return ", ".join(f"`{word}`" for word in words[0]["enum"])
    return ", ".join(f"`{_shown(example)}`" for example in one.get("examples", ())[:3]).replace("``", "`")


def _part(one: dict[str, Any]) -> str:
    """The definition that a key's value, or each entry of its list or mapping, follows; or empty."""
    inside = (one.get("additionalProperties") or {}, *one.get("patternProperties", {}).values())
    for place in (one, *inside, *one.get("oneOf", ()), *one.get("anyOf", ())):
        named = place.get("$ref") or place.get("items", {}).get("$ref", "")
        if named:
            return str(named.rsplit("/", 1)[-1])
    return ""


def _shown(value: object) -> str:
    """A value as it is written in the file."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if value in ("", None, [], {}):
        return ""
    if isinstance(value, list):
        return "`[" + ", ".join(f'"{one}"' if str(one)[0] in "[{" else str(one) for one in value) + "]`"
    if isinstance(value, dict):
        return "`{" + ", ".join(f"{key}: {_plain(one)}" for key, one in value.items()) + "}`"
    return f"`{value}`"


def _plain(value: object) -> str:
    return _shown(value).strip("`")


def with_tables(text: str) -> str:
    """A page with its tables made anew."""
    return _TABLE.sub(lambda found: f"{found[1]}{table(found[2])}{found[4]}", text)


def documented() -> set[str]:
    """The names of all parts that have a table on some page."""
    return {found[2] for page in PAGES for found in _TABLE.finditer(page.read_text(encoding="utf-8"))}


def main() -> None:
    """Write every table anew."""
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = with_tables(before)
        if after != before:
            page.write_text(after, encoding="utf-8")


if __name__ == "__main__":
    main()
