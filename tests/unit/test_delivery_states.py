"""The table of delivery states."""

from __future__ import annotations

import pytest

from rules.delivery import FINAL, OPEN, TABLE, UNDOABLE, Event, ForbiddenMove, State, next_state

OWNERS = {Event.RETRY, Event.APPROVE, Event.CANCEL, Event.BY_HAND}


def reachable(start: State, events: set[Event]) -> set[State]:
    """Every state that these events can lead to from ``start``."""
    found, fresh = {start}, [start]
    while fresh:
        state = fresh.pop()
        for event in events:
            target = TABLE[event].get(state)
            if target is not None and target not in found:
                found.add(target)
                fresh.append(target)
    return found


def test_every_state_is_open_or_final() -> None:
    """Nothing is both, nothing is neither."""
    assert not OPEN & FINAL
    assert frozenset(State) == OPEN | FINAL


def test_every_event_is_in_the_table() -> None:
    """An event without a row would be one nobody thought through."""
    assert TABLE.keys() == frozenset(Event)


def test_every_open_state_can_end() -> None:
    """Whatever is open has a way to a final state: nothing due is lost silently."""
    for state in OPEN:
        assert reachable(state, set(Event)) & FINAL


def test_nothing_final_is_sent_again_by_itself() -> None:
    """Out of a final state only the owner leads; a late answer may settle a doubt.

    What ended by a clock that ran ahead is another matter: it certainly did not leave.
    """
    for state in FINAL:
        assert reachable(state, set(Event) - OWNERS - {Event.RENEW}) <= {state, State.SENT}
    assert set(TABLE[Event.RENEW]) == UNDOABLE
    assert not UNDOABLE & {State.SENT, State.UNKNOWN, State.REFUSED, State.SUPPRESSED}


def test_sent_is_the_end() -> None:
    """What was sent is never sent again, not even by the owner."""
    assert reachable(State.SENT, set(Event)) == {State.SENT}


def test_only_committing_leads_to_sent_or_unknown() -> None:
    """No message is called sent, or in doubt, that was not committed first, unless the owner sent it."""
    into = {
        (source, target)
        for event, row in TABLE.items()
        if event is not Event.BY_HAND
        for source, target in row.items()
        if target in {State.SENT, State.UNKNOWN}
    }
    assert {source for source, _ in into} == {State.COMMITTING, State.UNKNOWN}


def test_committing_never_waits_again_without_an_answer() -> None:
    """A committed message goes back to waiting only on the server's explicit refusal."""
    ways = {
        event for event, row in TABLE.items() if row.get(State.COMMITTING) in {State.PENDING, State.RETRYING}
    }
    assert ways == {Event.FAIL}


def test_what_may_have_left_is_not_called_sent_by_hand() -> None:
    """A draft sent by hand settles what did not leave by ourselves; a doubt is another matter."""
    assert TABLE[Event.BY_HAND].keys() == frozenset(State) - {
        State.COMMITTING,
        State.SENT,
        State.REFUSED,
        State.UNKNOWN,
    }


@pytest.mark.parametrize("state", [State.SENT, State.COMMITTING, State.CLAIMED])
def test_forbidden_moves_raise(state: State) -> None:
    """What the table does not name is an error, not a shrug."""
    with pytest.raises(ForbiddenMove, match=f"{state} cannot take the event 'approve'"):
        next_state(state, Event.APPROVE)


def test_the_owners_word() -> None:
    """approve, cancel and retry do what the outbox commands promise."""
    assert next_state(State.HELD, Event.APPROVE) is State.PENDING
    assert next_state(State.HELD, Event.CANCEL) is State.SUPPRESSED
    for state in (State.REFUSED, State.UNKNOWN, State.LAPSED, State.HELD):
        assert next_state(state, Event.RETRY) is State.PENDING
