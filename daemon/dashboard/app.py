"""The dashboard's addresses: looking changes nothing; a form does what ``rebookd outbox`` would do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from prometheus_client import CONTENT_TYPE_LATEST
from sqlalchemy import Connection
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, RedirectResponse, Response
from starlette.routing import Route

from daemon import health, message_words, verdicts
from daemon.beats import Beats
from daemon.dashboard import board, healthz, metrics, plot, week
from daemon.dashboard.guard import Guard, Password, Seals, is_own
from daemon.dashboard.pages import SCRIPT, draw, refusal
from daemon.dashboard.trace import rules_of
from daemon.explanation import explain, meant
from daemon.explanation_words import Speaker
from daemon.mail.foreign_text import clean, clean_lines
from daemon.office import Office
from daemon.store import agenda, deliveries, silences
from daemon.store.deliveries import Delivery
from daemon.web.forms import Refused, read_form
from rules.delivery import ForbiddenMove, State

_KEEP = {"Cache-Control": "public, max-age=31536000, immutable"}
_SCRIPT_AT = "/htmx.min.js"
_LONGEST_SEARCH = 1000

_NOT_OURS = (
    "The form is not from this page, or from before rebookd was started anew. Nothing was changed. "
    "Open the page again, and press there."
)
_PLAIN = {
    404: "No page, meeting or message is at this address. It may have been one, and be gone.",
    405: "This address is only for looking, or only for a button.",
}


def build(
    office: Office, beats: Beats, password: Password | str | None = None, *, owner: str = ""
) -> Starlette:
    """The application around an office; ``password`` is what browsers are asked for.

    ``owner`` is what the numbers say whose they are, where there are several.
    """
    pages = _Pages(office, beats, owner)
    if isinstance(password, str):
        password = Password(password)
    made = Starlette(
        routes=[
            Route("/", pages.board, methods=["GET"]),
            Route("/meeting", pages.meeting, methods=["GET"]),
            Route("/message/{id:int}", pages.message, methods=["GET"]),
            Route("/message/{id:int}/{act}", pages.act, methods=["POST"]),
            Route("/silence/{id:int}/end", pages.act, methods=["POST"]),
            Route("/healthz", pages.healthz, methods=["GET"]),
            Route("/metrics", pages.metrics, methods=["GET"]),
            Route(_SCRIPT_AT, _script, methods=["GET"]),
        ],
        middleware=[Middleware(Guard, password=password)],
        exception_handlers={HTTPException: _refuse},
    )
    made.router.redirect_slashes = False
    return made


def _script(_request: Request) -> Response:
    return FileResponse(SCRIPT, media_type="text/javascript", headers=_KEEP)


async def _refuse(_request: Request, error: Exception) -> Response:
    """A page for an address or a method that is not there."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    return refusal(status, _PLAIN.get(status, HTTPStatus(status).phrase), headers)


class _Pages:
    """What each address does."""

    def __init__(self, office: Office, beats: Beats, owner: str) -> None:
        self._office = office
        self._beats = beats
        self._seals = Seals()
        self._numbers = metrics.registry(office, beats, owner)

    def board(self, request: Request) -> Response:
        """Everything at a glance."""
        office, now = self._office, self._office.clock.now()
        with office.store.read() as conn:
            policy = office.decider.policy(conn, now)
            speaker = Speaker(office.settings.owner, policy)
            standing = health.look(conn, office.settings, now, self._beats.stuck())
            values = {
                "health": standing,
                "week": week.gather(conn, office.settings, office.decider, now),
                "outbox": board.outbox(conn, office.settings, speaker),
                "word": board.word(conn, policy, speaker, now),
                "freshness": board.freshness(standing, speaker),
                "plot": plot.gather(conn, office.settings, office.decider, now),
                "said": self._said(conn, request, speaker),
            }
        return self._draw("board.html", values)

    def _said(self, conn: Connection, request: Request, speaker: Speaker) -> str:
        """What became of the last button pressed, as the store knows it."""
        late = "Nothing was changed: " if request.query_params.get("late") == "1" else ""
        id_ = _number(request.query_params.get("done", ""))
        row = deliveries.get(conn, id_) if id_ is not None else None
        if row is not None:
            return f"{late}Message {row.id}: {_became(row, speaker)}."
        ended = _number(request.query_params.get("ended", ""))
        if ended is not None and ended not in {
            one.id for one in silences.active(conn, self._office.clock.now())
        }:
            return f"Silence {ended} is over."
        return ""

    def meeting(self, request: Request) -> Response:
        """What every rule makes of one meeting."""
        office, now = self._office, self._office.clock.now()
        wanted = request.query_params.get("of", "").strip()[:_LONGEST_SEARCH]
        with office.store.read() as conn:
            found = agenda.find(conn, wanted) if wanted else []
        if not found:
            return refusal(404, "No meeting has this in its title. It may lie too far back or ahead.")
        one = meant(found, now)
        told = explain(office.store, office.settings, one, now)
        speaker = told.speaker()
        others = {each.key.uid: each for each in found if each.key.uid != one.key.uid}
        values = {
            "title": week.title_of(one, office.settings),
            "start": speaker.at(one.start),
            "end": speaker.at(one.end),
            "where": f"in the calendar {clean(told.calendar)} of {one.key.calendar.account}",
            "uid": clean(str(one.identity), 200),
            "people": [clean(said, 200) for said in told.people(speaker)],
            "notes": [clean(note, 600) for note in told.notes(speaker)],
            "coming": clean(speaker.coming(told.upcoming), 300) if told.upcoming else "",
            "messages": [(sent.id, clean(speaker.delivery(sent), 400)) for sent in told.deliveries],
            "rules": rules_of(told, speaker),
            "others": [
                (week.title_of(each, office.settings), week.link_of(each))
                for each in list(others.values())[:5]
            ],
        }
        return self._draw("meeting.html", values)

    def message(self, request: Request) -> Response:
        """One message: what became of it and why, and its words."""
        office, now = self._office, self._office.clock.now()
        with office.store.read() as conn:
            row = deliveries.get(conn, _id(request))
            if row is None:
                raise HTTPException(404)
            speaker = Speaker(office.settings.owner, office.decider.policy(conn, now))
            shown = board.message(conn, office.settings, speaker, row)
        kept = message_words.kept(office.store, row)
        words = message_words.words(office.store, office.settings, office.clock, kept)
        late = request.query_params.get("late") == "1"
        values = {
            "message": shown,
            "subject": clean(row.subject),
            "became": _became(row, speaker),
            "with": kept.id if kept.id != row.id else None,
            "words": clean_lines(words, 100_000),
            "facts": _facts(row, speaker),
            "said": "Nothing was changed: it had moved on." if late else "",
        }
        return self._draw("message.html", values)

    async def act(self, request: Request) -> Response:
        """Do what a button says, once, and lead back to where it was."""
        try:
            form = await read_form(request)
        except Refused as error:
            return refusal(error.status, "What was sent is not one of our forms.")
        except ClientDisconnect:
            return Response(status_code=400)
        path = request.url.path
        if not is_own(request) or not self._seals.fits(path, form.one("seal")):
            return refusal(403, _NOT_OURS)
        return await run_in_threadpool(self._act, request, form.one("back"))

    def _act(self, request: Request, back: str) -> Response:
        id_, act = _id(request), request.path_params.get("act")
        if act is None:
            self._end_silence(id_)
            return RedirectResponse(f"/?ended={id_}#word", status_code=303)
        doing = self._doing(act)
        if doing is None:
            raise HTTPException(404)
        late = False
        try:
            with self._office.store.write() as conn:
                done = doing(conn, id_)
        except ForbiddenMove:
            done, late = True, True
        if done is False:
            raise HTTPException(404)
        flag = "late=1" if late else ""
        if back == "message":
            return RedirectResponse(f"/message/{id_}" + (f"?{flag}" if flag else ""), status_code=303)
        return RedirectResponse(f"/?done={id_}" + (f"&{flag}" if flag else "") + "#outbox", status_code=303)

    def _doing(self, act: str) -> Callable[[Connection, int], object] | None:
        """The same that ``rebookd outbox`` does."""
        settings, now = self._office.settings, self._office.clock.now()
        return {
            "approve": lambda conn, id_: verdicts.approve(conn, settings, id_, now),
            "cancel": lambda conn, id_: verdicts.cancel(conn, settings, id_, now),
            "retry": lambda conn, id_: deliveries.retry(conn, id_, now),
        }.get(act)

    def _end_silence(self, id_: int) -> None:
        """The same that ``rebookd silence expire`` does; one that is over stays over."""
        now = self._office.clock.now()
        with self._office.store.write() as conn:
            if silences.expire(conn, id_, now):
                agenda.wake_all(conn, now)

    def healthz(self, _request: Request) -> Response:
        """Whether all is well, for a machine that asks."""
        return healthz.told([(self._office, self._beats)])

    def metrics(self, _request: Request) -> Response:
        """The numbers, for Prometheus."""
        return Response(metrics.text(self._numbers), media_type=CONTENT_TYPE_LATEST)

    def _draw(self, template: str, values: Mapping[str, Any]) -> Response:
        office = self._office
        owner = office.settings.owner
        now = Speaker(owner, office.settings.policy).at(office.clock.now())
        return draw(
            template,
            {"now": now, "zone": owner.zone, "owner": clean(owner.name), "seal": self._seals.of, **values},
        )


def _became(row: Delivery, speaker: Speaker) -> str:
    """What became of a message, without the hint that is for a terminal."""
    if row.state is State.HELD:
        why = f": {row.error}" if row.error else ""
        return clean(f"Held until {speaker.at(row.until)}{why}", 400)
    return clean(speaker.delivery(row), 400)


def _facts(row: Delivery, speaker: Speaker) -> list[tuple[str, str]]:
    """What else is known of a message, as ``rebookd outbox show`` tells it."""
    told = [
        ("what", row.do),
        ("planned", speaker.at(row.created_at)),
        ("until", speaker.at(row.until)),
        ("attempts", str(row.attempts) if row.attempts else ""),
        ("left", speaker.at(row.sent_at) if row.sent_at else ""),
        ("offered", ", ".join(speaker.at(slot.start) for slot in row.offered)),
        ("Message-ID", clean(row.message_id, 300)),
    ]
    return [(name, value) for name, value in told if value]


def _id(request: Request) -> int:
    """The number in an address. Raises HTTPException for one that no row can have."""
    found: int = request.path_params["id"]
    if found >= 1 << 63:
        raise HTTPException(404)
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
