"""What is known about a meeting having taken place."""

from __future__ import annotations

from rules.model import Attendance, Held, Identity, Marks, Occurrence, Snapshot

UNKNOWN = Held.UNKNOWN

WORDS = {"held": Held.HELD, "missed": Held.MISSED_BY_ATTENDEE, "missed-by-me": Held.MISSED_BY_ME}
"""The owner's words for what became of a meeting."""


def label_of(occurrence: Occurrence, marks: Marks) -> tuple[Held, str] | None:
    """The mark somebody made in a calendar app, as a title prefix or a category, and where it stood."""
    title = occurrence.title.strip().casefold()
    categories = {category.strip().casefold() for category in occurrence.categories}
    for held, labels in (
        (Held.MISSED_BY_ATTENDEE, marks.missed),
        (Held.MISSED_BY_ME, marks.missed_by_me),
        (Held.HELD, marks.held),
    ):
        for label in labels:
            word = label.casefold()
            if title.startswith(word):
                return held, f"title prefix {label}"
            if word in categories or word.strip("[]") in categories:
                return held, f"category {label}"
    return None


def is_away(occurrence: Occurrence, marks: Marks) -> bool:
    """Whether an event says, by its kind, its title's beginning or a category, that I am out of office."""
    if occurrence.away:
        return True
    if not marks.away:
        return False
    title = occurrence.title.strip().casefold()
    words = [label.casefold() for label in marks.away]
    named = {*words, *(word.strip("[]") for word in words)}
    return title.startswith(tuple(words)) or any(
        category.strip().casefold() in named for category in occurrence.categories
    )


def _is_of_a_former_time(copy: Occurrence) -> bool:
    """Whether its label stood there before the meeting came to begin later."""
    labelled, moved = copy.relabelled_at or copy.appeared_at, copy.time_changed_at
    if labelled is None or moved is None:
        return False
    return labelled <= moved and labelled < copy.start_utc


def attendance_of(
    identity: Identity, copies: tuple[Occurrence, ...], snapshot: Snapshot
) -> Attendance | None:
    """The evidence about a meeting: the owner's own word, else a label in any calendar, else records.

    What was known before the meeting's present start is about a time it no longer has.
    """
    start = max((one.start_utc for one in copies), default=None)

    def known(what: dict[str, Attendance]) -> Attendance | None:
        found = what.get(str(identity))
        return None if found is None or (start is not None and found.at < start) else found

    word = known(snapshot.attendance)
    if word is not None:
        return word
    for copy in copies:
        label = label_of(copy, snapshot.owner.marks)
        if label is not None and not _is_of_a_former_time(copy):
            held, source = label
            times = [at for at in (copy.modified, copy.relabelled_at) if at is not None]
            at = max(times, default=copy.end_utc)
            return Attendance(held=held, source=f"{source} in {copy.key.calendar.account}", at=at)
    return known(snapshot.records)
