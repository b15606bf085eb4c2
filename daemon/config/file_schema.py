"""The JSON Schemas of the owner's files, for completion and checking in editors."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from daemon.config.model import Config
from rules.fields import Schema, Text
from rules.policy import RulesFile

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class _Generator(GenerateJsonSchema):
    """Writes defaults the way the owner would."""

    def encode_default(self, dft: Any) -> Any:
        return str(dft) if isinstance(dft, Text) else super().encode_default(dft)


def schema(kind: Literal["config", "rules"]) -> Schema:
    """The JSON Schema (draft 2020-12) of one of the owner's files."""
    model: type[BaseModel] = Config if kind == "config" else RulesFile
    made = model.model_json_schema(by_alias=True, schema_generator=_Generator)
    title = "rebookd configuration" if kind == "config" else "rebookd rules"
    tidied: Schema = _tidy(made)
    return {"$schema": DIALECT, "title": title, **{key: tidied[key] for key in tidied if key != "title"}}


def _tidy(node: Any) -> Any:
    """The schema without nulls for absent keys and without whole mappings as defaults."""
    if isinstance(node, list):
        return [_tidy(each) for each in node]
    if not isinstance(node, dict):
        return node
    found = {key: _tidy(value) for key, value in node.items()}
    if found.get("default", 0) in (None, "", []) or isinstance(found.get("default"), dict):
        del found["default"]
    options = found.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        del found["anyOf"]
        (only,) = (each for each in options if each != {"type": "null"})
        return {**only, **found}
    return found
