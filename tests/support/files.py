"""The owner's files as tests need them: the ones of the manual, written to a folder."""

from __future__ import annotations

from pathlib import Path

CONFIG = """\
# yaml-language-server: $schema=./config.schema.json
version: 1
me:
  name: Dana Reyes
  addresses: [dana@va.example, dana@acme.example]   # every address that is me
  time_zone: Europe/Lisbon
  working_hours: {mon-thu: 09:00-17:30, fri: 09:00-13:00}
  holidays: PT
state: state.db
accounts:
  acme:
    caldav:
      url: https://dav.acme.example/
      username: dana
      password: {file: acme.password}
    calendars: [primary, "Client calls"]
    poll_every: 5m
    client: Acme
  own:
    caldav:
      url: https://dav.va.example/
      username: dana
      password: {env: DAV_PASSWORD}
mail:
  from: Dana Reyes <dana@va.example>
  smtp: {host: mail.va.example, port: 587, security: starttls, username: dana, password: {credential: smtp}}
rules: [rules.yaml]
"""

RULES = """\
# yaml-language-server: $schema=./rules.schema.json
version: 1
guard:
  {max_per_run: 20, max_per_hour: 30, per_recipient_per_day: 3, quiet_hours: 20:00-08:00, first_sync: quiet}
rules:
  - name: confirm-acme
    description: Acme confirms two days ahead; else I offer another time.
    match: {account: acme, organizer: me, title: {contains: [kickoff, review]}, attendee: "*@acme.example"}
    when: unconfirmed
    inhibited_by: [clash]
    mode: auto
    then:
      - {step: ask,   do: confirm,    at: 48h before start, until: 28h before start}
      - {step: move,  do: reschedule, at: 4h before start,  until: 1h before start, slots: 3,
         within: 5 business days}
      - {step: tell,  do: notify,     at: 1h before start}
  - name: no-show
    when: {missed: {by: attendee, presume: [never_confirmed]}}
    then:
      - {step: offer, do: reschedule, at: 15m after end, until: 2 days after end,
         template: sorry-we-missed-you}
      - {step: again, do: reschedule, at: 1 business day after end, until: 4 days after end}
  - name: ask-me
    when: unaccounted
    then:
      - {step: was-it-held, do: check_in, at: 10m after end, until: 1 day after end}
  - name: clash
    when: {conflict: {keep: [account:acme, earliest_created]}}
    then:
      - {step: move, do: reschedule, at: 7d before start, until: 2h before start}
"""


def write(folder: Path, config: str = CONFIG, **rules: str) -> Path:
    """Both files in ``folder``; ``rules`` are named by their stem. Returns the configuration's path."""
    for stem, text in (rules or {"rules": RULES}).items():
        (folder / f"{stem}.yaml").write_text(text, encoding="utf-8")
    path = folder / "config.yaml"
    path.write_text(config, encoding="utf-8")
    return path
