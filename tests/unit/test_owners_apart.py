"""Several owners in one store: each sees, sends and is asked exactly what they would be alone."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.owners import ACCOUNTS, Member, apart, together

NAMES = ("dana", "eli", "default")
_who = st.integers(0, len(NAMES) - 1)
_uid = st.sampled_from(["kickoff", "review"])
_to = st.sampled_from(["jo@acme.example", "al@acme.example"])

_steps = st.one_of(
    st.tuples(
        st.just("meet"),
        _who,
        st.tuples(
            st.sampled_from(ACCOUNTS),
            _uid,
            st.sampled_from([-1.0, 20.0, 30.0, 50.0]),
            st.sampled_from(["NEEDS-ACTION", "DECLINED", "ACCEPTED"]),
            _to,
        ),
    ),
    st.tuples(st.just("drop"), _who, st.tuples(st.sampled_from(ACCOUNTS), _uid)),
    st.tuples(
        st.just("answer"),
        _who,
        st.tuples(st.sampled_from(["yes", "no", "stop", "held", "missed"]), st.integers(0, 5)),
    ),
    st.tuples(
        st.just("say"),
        _who,
        st.tuples(st.sampled_from(["silence", "optout", "approve"]), st.integers(0, 3)),
    ),
    st.tuples(st.just("round"), st.just(0), st.sampled_from([(0.2,), (3.0,), (25.0,)])),
)


def _play(members: list[Member], steps: list[tuple[str, int, tuple[object, ...]]]) -> None:
    """The same story, for owners in one store or in several."""
    for word, who, what in [*steps, ("round", 0, (0.2,))]:
        if word == "round":
            members[0].clock.at += timedelta(hours=float(str(what[0])))
            for member in members:
                member.office.round()
        elif word == "drop":
            members[who].drop(*map(str, what))
        else:
            getattr(members[who], word)(*what)


@settings(
    max_examples=4,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.generate],
)
@given(steps=st.lists(_steps, min_size=6, max_size=12))
def test_an_owner_among_others_is_as_alone(steps: list[tuple[str, int, tuple[object, ...]]]) -> None:
    """Mails, outbox, status, explanations and pages, with overlapping uids, accounts, people and rules."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as many:
        shared, own = together(Path(one), NAMES), apart(Path(many), NAMES)
        try:
            _play(shared, steps)
            _play(own, steps)
            for among, alone in zip(shared, own, strict=True):
                for part, seen in among.record().items():
                    assert seen == alone.record()[part], (among.name, part)
            ids = [mail["Message-ID"] for member in shared for _, mail in member.mailer.kept]
            assert len(ids) == len(set(ids)), "two owners' messages about one meeting are two messages"
        finally:
            shared[0].store.close()
            for member in own:
                member.store.close()
