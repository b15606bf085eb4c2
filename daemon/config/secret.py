"""Secrets the configuration only points at: read when needed, never kept, never shown."""

from __future__ import annotations

import os
import stat
import subprocess  # its one use is below  # nosec B404
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from rules.faults import Fault, Faults, fault, not_one_of, shown
from rules.fields import Schema

KINDS = ("env", "file", "credential", "command")
_HOW = "write {env: NAME}, {file: PATH}, {credential: NAME} or {command: [PROGRAM, ARGUMENT]}"
_COMMAND_SECONDS = 10
_MOST_BYTES = 64 * 1024


class SecretUnavailable(Exception):
    """A secret cannot be read now; the text says why, for the owner, and holds nothing of it."""


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret lies: an environment variable, a file, a systemd credential or a command's output."""

    kind: str
    value: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind}: {self.value[0]}"

    def read(self, base: Path) -> str:
        """The secret itself, without its last line break; paths are relative to ``base``.

        Raises :class:`SecretUnavailable`.
        """
        text = getattr(self, f"_{self.kind}")(base)
        found = str(text).removesuffix("\n").removesuffix("\r")
        if not found:
            raise SecretUnavailable(f"the secret {self} is empty")
        return found

    def caution(self, base: Path) -> str:
        """A sentence when everybody on this machine can read the secret, or nothing."""
        if self.kind != "file":
            return ""
        path = base / Path(self.value[0]).expanduser()
        try:
            open_to_all = bool(path.stat().st_mode & stat.S_IROTH)
        except OSError:
            return ""
        return (
            f"{path} can be read by everybody on this machine; run: chmod 600 {path}" if open_to_all else ""
        )

    def _env(self, _base: Path) -> str:
        name = self.value[0]
        if name not in os.environ:
            raise SecretUnavailable(f"the environment variable {name} is not set")
        return os.environ[name]

    def _file(self, base: Path) -> str:
        return _contents(base / Path(self.value[0]).expanduser())

    def _credential(self, _base: Path) -> str:
        directory = os.environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise SecretUnavailable(
                f"the credential {self.value[0]} is only there under systemd, with LoadCredential="
            )
        return _contents(Path(directory) / self.value[0])

    def _command(self, base: Path) -> str:
        program = self.value[0]
        try:
            done = subprocess.run(  # nosec B603 # noqa: S603 -- the owner's own command, without a shell
                self.value,
                cwd=base,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=_COMMAND_SECONDS,
                check=False,
            )
        except FileNotFoundError:
            raise SecretUnavailable(f"the program {program} is not there") from None
        except OSError as error:
            raise SecretUnavailable(f"the program {program} cannot be run: {error.strerror}") from None
        except subprocess.TimeoutExpired:
            raise SecretUnavailable(f"{program} gave no secret within {_COMMAND_SECONDS} seconds") from None
        if done.returncode:
            raise SecretUnavailable(f"{program} failed with exit code {done.returncode}")
        return _decoded(done.stdout, program)

    @classmethod
    def parse(cls, value: object) -> Self:
        """A one-key mapping. Raises :class:`Faults`; what was written is never repeated."""
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            message = (
                "a secret is missing here" if value is None else "a secret is never written in this file"
            )
            raise Faults([Fault(message, _HOW, secret=True)])
        keys = [str(key) for key in value]
        for key in keys:
            if key not in KINDS:
                wrong = not_one_of(key, KINDS)
                raise Faults([Fault(wrong.message, wrong.help or _HOW, (key,), "key")])
        if len(keys) != 1:
            raise fault("a secret lies in exactly one place", _HOW)
        return cls(keys[0], _place(keys[0], value[keys[0]]))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(cls.parse)

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> Schema:
        text = {"type": "string", "minLength": 1}
        kinds: dict[str, Schema] = {
            "env": {**text, "description": "an environment variable", "examples": ["DAV_PASSWORD"]},
            "file": {**text, "description": "a file, relative to this one", "examples": ["dav.password"]},
            "credential": {**text, "description": "a systemd credential", "examples": ["smtp"]},
            "command": {
                "type": "array",
                "items": text,
                "minItems": 1,
                "description": "a program and its arguments; what it prints is the secret",
                "examples": [["pass", "show", "dav"]],
            },
        }
        return {
            "type": "object",
            "description": "where a secret lies; it is never written here itself",
            "examples": [{"env": "DAV_PASSWORD"}, {"credential": "dav"}],
            "properties": kinds,
            "additionalProperties": False,
            "minProperties": 1,
            "maxProperties": 1,
        }


def _place(kind: str, value: object) -> tuple[str, ...]:
    if kind == "command":
        words = value if isinstance(value, list | tuple) else ()
        if not words or not all(isinstance(word, str) and word and "\0" not in word for word in words):
            raise fault("a command is a list of texts", "write it like [pass, show, dav]", kind)
        return tuple(words)
    if not isinstance(value, str) or not value.strip():
        raise fault(f"a name is expected here, not {shown(value)}", f"write it like {{{kind}: NAME}}", kind)
    if "\0" in value or (kind in {"env", "credential"} and ("/" in value or "=" in value)):
        raise fault("this is not a name", "use letters, digits and underscores", kind)
    return (value,)


def _contents(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            return _decoded(stream.read(_MOST_BYTES), str(path))
    except OSError as error:
        raise SecretUnavailable(f"{path} cannot be read: {error.strerror or 'unknown reason'}") from None


def _decoded(raw: bytes, origin: str) -> str:
    try:
        return raw[:_MOST_BYTES].decode()
    except UnicodeDecodeError:
        raise SecretUnavailable(f"the secret from {origin} is not UTF-8 text") from None
