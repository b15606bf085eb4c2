"""The answer pages' addresses: looking changes nothing, sending a form acts once and leads back to the page.

``GET`` and ``HEAD`` only read, since mail scanners open every link. What acts is a ``POST``, and, but for the
one-click of RFC 8058, only one with the *seal* of its page: the link's own token signed for forms.
No cookie goes with it. A form forged on another site has nothing to ride on, since the link itself is what
lets somebody in and whoever forges one does not know it; what the seal keeps out is a program that
sends a ``POST`` to an address it found in a mail without having read its page, and a form of one page sent
to another.
"""

from __future__ import annotations

import hmac
import time
from collections.abc import Sequence
from dataclasses import replace
from urllib.parse import quote

from itsdangerous import BadSignature
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from daemon.answers import Answering, Standing
from daemon.links import Links, Purpose, is_about, path_of, purpose_of
from daemon.mail.spoken_time import is_zone
from daemon.store import attendance, optouts
from daemon.web.forms import Form, Mistake, Refused, read_form, slot_word, wished
from daemon.web.guard import Guard
from daemon.web.limits import Bucket
from daemon.web.pages import draw
from daemon.web.views import Visit, length_of, plain, view
from daemon.web.zones import chosen
from rules.model import Held, PartStat

SOURCE = "the answer page"
"""Where an answer of these pages says it comes from."""

ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""What a mail program sends when its own button for it was pressed (RFC 8058)."""

_FORMS = b"form"
_HELD = {
    "held": Held.HELD,
    "phone": Held.HELD,
    "missed": Held.MISSED_BY_ATTENDEE,
    "missed_by_me": Held.MISSED_BY_ME,
}
_PLAIN = {404: "lost", 405: "method"}


def build(
    answering: Answering, links: Links, *, bucket: Bucket | None = None, more: Sequence[BaseRoute] = ()
) -> Starlette:
    """The application around what takes the answers; ``more`` are routes beside its own."""
    configured = answering.settings.config.answers
    tag = answering.settings.owner.language
    pages = _Pages(answering, links, tag)
    guard = Middleware(
        Guard,
        bucket=bucket or Bucket(time.monotonic),
        https=configured is not None and configured.is_https,
        tag=tag,
    )
    made = Starlette(
        routes=[
            Route("/a/{token}", pages.show, methods=["GET"]),
            Route("/a/{token}", pages.take, methods=["POST"]),
            Route("/stop/{token}", pages.show, methods=["GET"]),
            Route("/stop/{token}", pages.take, methods=["POST"]),
            *more,
        ],
        middleware=[guard],
        exception_handlers={HTTPException: pages.refuse},
    )
    made.router.redirect_slashes = False
    return made


class _Pages:
    """What each address does."""

    def __init__(self, answering: Answering, links: Links, tag: str) -> None:
        self._answering = answering
        self._links = links
        self._tag = tag

    def show(self, request: Request) -> Response:
        """The page as it is now."""
        visit = self._visit(request)
        return draw(plain("lost", self._tag, 404) if visit is None else view(visit))

    async def take(self, request: Request) -> Response:
        """What a form says is done, once."""
        try:
            form = await read_form(request)
        except Refused as error:
            return draw(plain(error.name, self._tag, error.status))
        except ClientDisconnect:
            return Response(status_code=400)
        return await run_in_threadpool(self._take, request, form)

    async def refuse(self, _request: Request, error: Exception) -> Response:
        """A page for an address or a method that is not there."""
        status = error.status_code if isinstance(error, HTTPException) else 500
        headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
        return draw(plain(_PLAIN.get(status, "strange"), self._tag, status), headers)

    def _visit(self, request: Request, form: Form | None = None, mistake: str = "") -> Visit | None:
        """Whoever opened a link of ours; None for anybody else."""
        token = request.path_params["token"]
        read = self._links.read(token)
        if read is None or request.url.path != path_of(read[0], token):
            return None
        purpose, id_, digest = read
        asked = self._answering.question(id_)
        if asked is None or not is_about(asked.delivery, digest):
            return None
        if purpose is not Purpose.STOP and purpose_of(asked.delivery.do) is not purpose:
            return None
        named = form.one("zone") if form else request.query_params.get("zone")
        held, stopped = None, False
        with self._answering.store.read() as conn:
            if purpose is Purpose.CHECK_IN and asked.delivery.identity is not None:
                known = attendance.marks(conn, [asked.delivery.identity])
                held = next((one.held for one in known.values()), None)
            if purpose is Purpose.STOP:
                stopped = any(one.pattern == str(asked.delivery.to).lower() for one in optouts.list_(conn))
        return Visit(
            settings=self._answering.settings,
            purpose=purpose,
            token=token,
            seal=self._seal(token),
            question=asked,
            now=self._answering.clock.now(),
            zone_name=named if named and is_zone(named) else None,
            form=form if mistake else None,
            mistake=mistake,
            held=held,
            stopped=stopped,
        )

    def _seal(self, token: str) -> str:
        return self._links.signer(_FORMS).get_signature(token).decode()

    def _is_sealed(self, token: str, seal: str) -> bool:
        try:
            signed = self._links.signer(_FORMS).unsign(f"{token}.{seal}")
        except BadSignature:
            return False
        return hmac.compare_digest(signed.decode(), token)

    def _take(self, request: Request, form: Form) -> Response:
        visit = self._visit(request, form)
        if visit is None:
            return draw(plain("lost", self._tag, 404))
        delivery = visit.question.delivery
        name, word = ONE_CLICK
        if visit.purpose is Purpose.STOP and form.one(name) == word:
            self._answering.stop(delivery.id, "one-click")
            return PlainTextResponse("stopped\n")
        foreign = request.headers.get("sec-fetch-site") == "cross-site"
        if foreign or not self._is_sealed(visit.token, form.one("seal")):
            return draw(plain("stale", self._tag, 403))
        try:
            done = self._act(visit, form)
        except Mistake as error:
            again = self._visit(request, form, error.name)
            if again is None:
                return draw(plain("lost", self._tag, 404))
            page = view(again)
            return draw(replace(page, status=422) if page.status == 200 else page)
        if not done:
            return draw(plain("strange", self._tag, 400))
        zone = f"?zone={quote(visit.zone_name, safe='')}" if visit.zone_name else ""
        return RedirectResponse(f"{path_of(visit.purpose, visit.token)}{zone}", status_code=303)

    def _act(self, visit: Visit, form: Form) -> bool:
        """Do what the form says; False where it says nothing we know. Raises :class:`Mistake`."""
        id_, does = visit.question.delivery.id, form.one("do")
        if visit.purpose is Purpose.STOP:
            if does == "stop":
                self._answering.stop(id_, SOURCE)
            return does == "stop"
        if visit.question.standing is not Standing.OPEN:
            return True  # the page says why
        if visit.purpose is Purpose.CHECK_IN:
            if does in _HELD:
                self._answering.held(id_, _HELD[does], SOURCE)
            return does in _HELD
        if does in {"yes", "no"}:
            partstat = PartStat.ACCEPTED if does == "yes" else PartStat.DECLINED
            self._answering.confirm(id_, partstat, SOURCE, form.words)
            return True
        if does == "other":
            zone = chosen(visit.zone_name, visit.home)
            times = wished(form, zone, length_of(visit.question), visit.now)
            self._answering.propose(id_, times, SOURCE, form.words)
            return True
        return does == "pick" and visit.purpose is Purpose.PICK and self._pick(visit, form)

    def _pick(self, visit: Visit, form: Form) -> bool:
        named = set(form.all("slot"))
        picked = [slot for slot in visit.question.delivery.offered if slot_word(slot) in named]
        if not picked:
            raise Mistake("error_choose")
        self._answering.pick(visit.question.delivery.id, picked, SOURCE, form.words)
        return True
