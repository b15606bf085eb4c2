"""Where the owner looks at how things stand: a page of their own."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from daemon.config.answers import is_open, place_to_listen
from daemon.config.secret import Secret
from rules.faults import Strict, fault

LISTEN = "127.0.0.1:8471"


def _listen(value: object) -> str:
    return place_to_listen(value, "8471", "dashboard")


class Dashboard(Strict):
    """A page on which I see how things stand and decide on what waits; without it there is none."""

    listen: Annotated[str, BeforeValidator(_listen), WithJsonSchema({"type": "string", "minLength": 1})] = (
        Field(LISTEN, examples=[LISTEN, "[::1]:8471", "unix:/run/rebookd/dashboard.sock"])
    )
    """Where the page is; where other machines can reach it, it needs a password."""
    password: Secret | None = Field(None, examples=[{"credential": "rebookd-dashboard"}])
    """Where the password lies that browsers are asked for; without it, whoever reaches the page is me."""

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it."""
        return is_open(self.listen)

    @model_validator(mode="after")
    def _sense(self) -> Self:
        if self.is_open and self.password is None:
            wrong = "other machines can reach this place, and the dashboard has no password"
            hint = f"listen at {LISTEN}, or add password: {{file: dashboard.password}}"
            raise fault(wrong, hint, "listen")
        return self
