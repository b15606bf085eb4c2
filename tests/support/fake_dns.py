"""A DNS server on loopback that knows a few TXT records."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator, Mapping, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.resolver
import dns.rrset


class _Answering(socketserver.BaseRequestHandler):
    """One question."""

    def handle(self) -> None:
        """Answer with the records of that name; NXDOMAIN where nothing is at or below it."""
        data, sock = self.request
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        records: Mapping[str, Sequence[str]] = self.server.records  # type: ignore[attr-defined]
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.RA
        texts = records.get(name, ())
        if texts:
            quoted = [
                " ".join(f'"{text[at : at + 200]}"' for at in range(0, len(text), 200)) for text in texts
            ]
            reply.answer.append(dns.rrset.from_text(question.name, 60, "IN", "TXT", *quoted))
        elif not any(one == name or one.endswith(f".{name}") for one in records):
            reply.set_rcode(dns.rcode.NXDOMAIN)
        sock.sendto(reply.to_wire(), self.client_address)


@contextlib.contextmanager
def fake_dns(records: Mapping[str, Sequence[str]]) -> Iterator[dns.resolver.Resolver]:
    """A resolver that asks a server with these TXT records, by name."""
    with socketserver.UDPServer(("127.0.0.1", 0), _Answering) as server:
        server.records = records  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], server.server_address[1]
        try:
            yield resolver
        finally:
            server.shutdown()
