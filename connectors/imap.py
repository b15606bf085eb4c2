"""Drafts in the owner's own mailbox, by IMAP (RFC 3501, 6154).

Every call signs in anew, has one deadline and reads a bounded number of bytes. Only messages of ours are
touched, found by their Message-ID or their ``X-Rebookd-Id``: a mail program may give a draft another
Message-ID when it is edited or sent.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable

from imap_tools import BaseMailBox, MailMessageFlags
from imap_tools.errors import MailboxAppendError
from imap_tools.folder import FolderInfo

from connectors.base import DraftState, Rejected, Retryable
from connectors.imap_wire import CALL_SECONDS, FOR_NOW, ImapServer, Security, said

_NAMES = {"drafts": ("drafts",), "sent": ("sent", "sent items", "sent messages", "sent mail")}
_MESSAGE_ID = re.compile(r'<[^\x00-\x20\x7f-\U0010ffff"\\<>]{1,500}>')
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


class ImapDrafts:
    """The folders of drafts and of sent mail of one mailbox; see :class:`connectors.base.Drafts`.

    ``password`` is asked for at every sign-in. ``drafts`` and ``sent`` name the folders; empty ones are
    found by their special use. ``context`` replaces the system's trust. For one thread at a time.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        security: Security = "tls",
        username: str,
        password: Callable[[], str],
        drafts: str = "",
        sent: str = "",
        context: ssl.SSLContext | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self._server = ImapServer(
            host,
            port,
            security=security,
            username=username,
            password=password,
            context=context,
            call_seconds=call_seconds,
        )
        self._folders = {"drafts": drafts, "sent": sent}

    def put(self, raw: bytes, message_id: str) -> None:
        """Append to the drafts, flagged as a draft and as read; nothing where it lies already."""
        wanted = _criteria(message_id)
        with self._server.signed_in() as mailbox:
            folder = self._folder(mailbox, "drafts")
            mailbox.folder.set(folder, readonly=True)
            if mailbox.uids(wanted, charset=None):
                return
            try:
                mailbox.append(raw, folder, flag_set=(MailMessageFlags.DRAFT, MailMessageFlags.SEEN))
            except MailboxAppendError as error:
                why = said(error.command_result)
                kind = Retryable if FOR_NOW.search(why) else Rejected
                raise kind(f"The mail server {self._server.host} does not take the draft: {why}") from error

    def state(self, message_id: str) -> DraftState:
        """Whether it is among the drafts, among the sent, or nowhere."""
        wanted = _criteria(message_id)
        with self._server.signed_in() as mailbox:
            for use, state in (("drafts", DraftState.WAITING), ("sent", DraftState.SENT)):
                mailbox.folder.set(self._folder(mailbox, use), readonly=True)
                if mailbox.uids(wanted, charset=None):
                    return state
        return DraftState.GONE

    def remove(self, message_id: str) -> None:
        """Delete it from the drafts. Where the server cannot expunge one alone it is only marked so."""
        wanted = _criteria(message_id)
        with self._server.signed_in() as mailbox:
            mailbox.folder.set(self._folder(mailbox, "drafts"))
            found = ",".join(mailbox.uids(wanted, charset=None))
            if not found:
                return
            self._make_sure(mailbox.client.uid("STORE", found, "+FLAGS", r"(\Deleted)"))
            # A plain EXPUNGE would also take what the owner has marked in another program.
            if "UIDPLUS" in _abilities(mailbox):
                self._make_sure(mailbox.client.uid("EXPUNGE", found))

    def check(self) -> None:
        """Sign in and find both folders."""
        with self._server.signed_in() as mailbox:
            for use in self._folders:
                mailbox.folder.set(self._folder(mailbox, use), readonly=True)

    def _folder(self, mailbox: BaseMailBox, use: str) -> str:
        """The folder's name: the configured one, the one with that special use, or the one called so."""
        folders = [each for each in mailbox.folder.list() if not _has(each, r"\Noselect")]
        given = self._folders[use]
        if given:
            found = [each.name for each in folders if each.name == given]
        else:
            special = [each.name for each in folders if _has(each, f"\\{use}")]
            found = special or [each.name for each in folders if _last_part(each) in _NAMES[use]]
        if found:
            return found[0]
        there = ", ".join(_CONTROLS.sub(" ", each.name) for each in folders[:20]) or "none"
        what = (
            f"no folder {given!r}"
            if given
            else f"no folder of {'drafts' if use == 'drafts' else 'sent mail'}"
        )
        raise Rejected(
            f"The mailbox on {self._server.host} has {what}; set mail.imap.{use} to one of: {there[:300]}."
        )

    def _make_sure(self, result: tuple[str, list[object]]) -> None:
        if result[0] != "OK":
            raise Retryable(f"The mail server {self._server.host} would not delete the draft: {said(result)}")


def _criteria(message_id: str) -> str:
    """The search for one message of ours. Raises Rejected for an id that is none."""
    if not _MESSAGE_ID.fullmatch(message_id):
        raise Rejected("The draft has no usable Message-ID, so it was not put into the mailbox.")
    return f'UNDELETED OR HEADER Message-ID "{message_id}" HEADER X-Rebookd-Id "{message_id[1:-1]}"'


def _abilities(mailbox: BaseMailBox) -> set[str]:
    """What the server can do now: more than it said before the sign-in."""
    _, data = mailbox.client.capability()
    return {
        word.upper()
        for line in data
        if isinstance(line, bytes)
        for word in line.decode("ascii", "replace").split()
    }


def _has(folder: FolderInfo, flag: str) -> bool:
    return flag.lower() in {each.lower() for each in folder.flags}


def _last_part(folder: FolderInfo) -> str:
    return str(folder.name).rpartition(folder.delim)[2].casefold() if folder.delim else folder.name.casefold()


__all__ = ["ImapDrafts"]
