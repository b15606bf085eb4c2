"""Pages drawn: templates with everything escaped, their style in the page itself, one script beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import HTMLResponse

from daemon.web.pages import TEMPLATES as ANSWER_TEMPLATES

TEMPLATES = Path(__file__).parent / "templates"
SCRIPT = Path(__file__).parents[1] / "web" / "static" / "htmx.min.js"

_COLOURS = (ANSWER_TEMPLATES / "page.css").read_text(encoding="utf-8").partition("* {")[0]
STYLE = _COLOURS + (TEMPLATES / "dashboard.css").read_text(encoding="utf-8")
"""The colours of the answer pages, and what is the dashboard's own."""

HTMX = '{"includeIndicatorStyles":false,"allowEval":false,"selfRequestsOnly":true,"historyEnabled":false}'

POLICY = "; ".join(
    (
        "default-src 'none'",
        f"style-src 'sha256-{b64encode(sha256(STYLE.encode()).digest()).decode()}'",
        "script-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
"""What a page may load (CSP level 3): its own style and script, and from here what it shows next."""

HEADINGS = {
    401: "The dashboard has a password",
    403: "This is not done from here",
    404: "There is nothing here",
    405: "This does not work so",
    413: "That was too much",
    429: "Too many tries",
    500: "Something went wrong",
    503: "The state cannot be read now",
}


def draw(template: str, values: Mapping[str, Any], status: int = 200) -> HTMLResponse:
    """The answer that shows a page."""
    return HTMLResponse(_environment().get_template(template).render(values), status_code=status)


def refusal(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """A page that says in plain words why there is nothing else."""
    made = draw("plain.html", {"heading": HEADINGS.get(status, "This did not work"), "sentence": sentence})
    made.status_code = status
    made.headers.update(headers or {})
    return made


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
    made.globals |= {"style": Markup(STYLE), "htmx": HTMX}  # nosec B704 # noqa: S704 - files of ours
    return made
