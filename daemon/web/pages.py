"""Pages drawn: templates with everything escaped, their style and script in the page itself."""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from daemon.web.views import Page

TEMPLATES = Path(__file__).parent / "templates"

STYLE = (TEMPLATES / "page.css").read_text(encoding="utf-8")
SCRIPT = (TEMPLATES / "page.js").read_text(encoding="utf-8")


def _hash_of(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src {_hash_of(STYLE)}",
        f"script-src {_hash_of(SCRIPT)}",
        "img-src data:",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""What a page may load (CSP level 3): its own style and script, and nothing from anywhere."""


def draw(page: Page, headers: dict[str, str] | None = None) -> HTMLResponse:
    """The answer that shows a page."""
    text = _environment().get_template(page.template).render(page.values)
    return HTMLResponse(text, status_code=page.status, headers=headers)


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters["unbroken"] = lambda text: text.replace("(UTC-", "(UTC\N{MINUS SIGN}")
    made.globals |= {"style": Markup(STYLE), "script": Markup(SCRIPT)}  # nosec B704 # noqa: S704 - files of ours
    return made
