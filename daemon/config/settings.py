"""Everything the owner wrote, read and checked at once: the configuration and its rules files."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from daemon.config.file_schema import schema
from daemon.config.holiday_calendar import Holidays, holiday_fault
from daemon.config.model import DATABASES, AccountConfig, Config
from daemon.config.problems import ConfigProblems, Problem
from daemon.config.rules_files import Known, RulesFiles, load_policy
from daemon.config.secret import Secret, SecretUnavailable
from daemon.config.validation import place, validate, validated
from daemon.config.yaml_tree import Tree, read_yaml
from rules.faults import Fault, Loc
from rules.hours import WorkingHours
from rules.model import Account, Marks, Owner
from rules.policy import Policy

ALONE_STATE = "state.db"
_PASSWORD = re.compile(r"^([a-z]+://[^/?#@:]*):[^/]*@")

DEFAULT = "default"
"""The owner of a configuration that stands alone."""

ALONE = "config.yaml"
"""What a folder holds that is one configuration; any other folder has one for each owner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Configuration and rules that fit together.

    ``base`` is the configuration's folder, to which its paths are relative; ``files`` are all files
    that were read, the configuration first. ``name`` is what the owner is called among others, ``tenant``
    the name under which the state keeps their rows.
    """

    config: Config
    policy: Policy
    owner: Owner
    base: Path
    files: tuple[Path, ...]
    name: str = DEFAULT
    tenant: str = DEFAULT
    accounts: Mapping[str, AccountConfig] = field(default_factory=dict)
    fingerprint: str = ""
    """A digest of everything the owner wrote: a change means that every meeting is judged anew."""
    shared: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What several threads must have in common for one account, made once: see ``google_access.py``
    and ``outlook_access.py``."""

    @property
    def state(self) -> Path:
        """The state file; for a database, the file beside which keys and sign-ins lie as if there were one.

        That is beside the configuration; under systemd in the service's own folder, the only place where it
        may write.
        """
        if not self.in_database:
            return self.base / Path(self.config.state).expanduser()
        return self.base / os.environ.get("STATE_DIRECTORY", "").partition(":")[0] / ALONE_STATE

    @property
    def in_database(self) -> bool:
        """Whether the state is no file."""
        return self.config.state.startswith(DATABASES)

    @property
    def place(self) -> str:
        """Where the state lies, as it may be printed."""
        if not self.in_database:
            return str(self.state)
        return _PASSWORD.sub(r"\1@", self.config.state).partition("?")[0]

    def has_state(self) -> bool:
        """Whether there is a state yet. Raises StoreError where its database cannot be reached."""
        if not self.in_database:
            return self.state.exists()
        from daemon.store.database import has_state  # noqa: PLC0415 - few need it

        return has_state(self.config.state)

    @property
    def memory(self) -> str:
        """Which state it is, told from others: the file's whole path, or the address."""
        said = self.config.state
        return said if self.in_database else str(self.state.resolve())

    def outward(self, key: str) -> str:
        """A key of the state as it may name something outside, where two owners' must differ."""
        return key if self.tenant == DEFAULT else f"{self.tenant}\n{key}"

    def seen_accounts(self) -> dict[str, Account]:
        """The accounts as a decision sees them before their first poll."""
        return {name: account.seen(name) for name, account in self.accounts.items()}

    def cautions(self) -> list[str]:
        """Sentences about what works but should not stay so."""
        found = [text for secret in self.secrets() if (text := secret.caution(self.base))]
        said = self.config.state
        if self.in_database and (_PASSWORD.search(said) or "password=" in said):
            found.append(
                f"whoever reads {self.files[0].name} reads the database's password; leave it out of 'state:' "
                "and name a file that holds it in the variable PGPASSFILE"
            )
        if self.config.answers and self.config.answers.is_open:
            found.append(
                f"the answer pages listen at {self.config.answers.listen}, which other machines can reach; "
                "let nobody but your web server through to it"
            )
        if self.config.dashboard and self.config.dashboard.is_open:
            found.append(
                f"the dashboard listens at {self.config.dashboard.listen}, which other machines can reach; "
                "its password is not encrypted on the way unless a web server with https:// stands before it"
            )
        return list(dict.fromkeys(found))

    def secrets(self) -> list[Secret]:
        """Every secret the configuration points at."""
        return [secret for secret in self._secrets() if secret is not None]

    def _secrets(self) -> Iterator[Secret | None]:
        for account in self.accounts.values():
            if account.caldav:
                yield from (account.caldav.password, account.caldav.token)
            if account.google:
                yield from (account.google.client_secret, account.google.service_account)
            if account.outlook:
                yield from (account.outlook.client_secret, account.outlook.certificate)
        mail = self.config.mail
        if mail.smtp:
            yield from (mail.smtp.password, mail.smtp.token)
        yield mail.imap.password if mail.imap else None
        yield from (webhook.secret for webhook in self.config.webhooks.values())
        yield self.config.key
        yield self.config.answers.key if self.config.answers else None
        yield self.config.dashboard.password if self.config.dashboard else None


def find_config(explicit: str | None, environ: Mapping[str, str] = os.environ) -> Path:
    """The configuration to use: the one named, ``$REBOOKD_CONFIG``, or the first at the usual places.

    A folder that is named and is no configuration itself holds one for each owner: ``deployment.py``.
    Raises :class:`ConfigProblems` when there is none.
    """
    if named := explicit or environ.get("REBOOKD_CONFIG"):
        path = Path(named).expanduser()
        return path / ALONE if (path / ALONE).exists() else path
    home = Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser()
    usual = (Path("config.yaml"), home / "rebookd/config.yaml", Path("/etc/rebookd/config.yaml"))
    for path in usual:
        if path.exists():
            return path
    raise ConfigProblems(
        [
            Problem(
                file="config.yaml",
                line=1,
                column=1,
                message="there is no configuration here, in your home or in /etc",
                help="write one with `rebookd init`, or name it with --config",
            )
        ]
    )


def load(path: Path, *, name: str = DEFAULT, thorough: bool = True) -> Settings:
    """The configuration at ``path`` with its rules. Raises :class:`ConfigProblems` with every mistake.

    ``name`` is what its owner is called in a deployment. ``thorough`` also looks up the country of the
    holidays, which costs a third of a second.
    """
    tree = read_yaml(path)
    config, problems = validated(Config, tree)
    me = tree.data.get("me") if thorough and isinstance(tree.data, dict) else None
    if isinstance(me, dict) and (wrong := holiday_fault(me.get("holidays"))):
        problems.append(tree.problem(wrong.under("me", "holidays")))
    files, later = RulesFiles(), []
    for loc, named in _rules_names(tree.data):
        file = path.parent / Path(named).expanduser()
        if file in files.paths:
            later.append(tree.problem(Fault("this file is already in the list", "take it out", loc)))
        elif not file.is_file():
            hint = "write one with `rebookd init`, or correct the name"
            later.append(tree.problem(Fault(f"there is no file {file}", hint, loc)))
            files.complete = False
        else:
            files.read(file)
    problems = sorted([*problems, *later], key=place)
    policy = files.policy(Known.of(tree.data))
    problems += files.problems
    if policy is not None and policy.digest is not None and config is not None and config.digest is not None:
        wrong = Fault("the digest is already in a rules file", "keep one", ("digest",), "key")
        problems.append(tree.problem(wrong))
    if config is None or policy is None or problems:
        raise ConfigProblems(problems)
    return Settings(
        config=config,
        policy=policy.model_copy(update={"digest": policy.digest or config.digest}),
        owner=_owner(config),
        base=path.parent,
        files=(path, *files.paths),
        name=name,
        tenant=config.owner or name,
        accounts=config.accounts,
        fingerprint=_fingerprint([tree, *files.trees]),
    )


def _fingerprint(trees: Iterable[Tree]) -> str:
    digest = hashlib.sha256()
    for tree in trees:
        digest.update("\n".join(tree.lines).encode())
    return digest.hexdigest()


def _rules_names(data: Any) -> list[tuple[Loc, str]]:
    """The rules files named, even where other things of the configuration are wrong."""
    named = data.get("rules", "rules.yaml") if isinstance(data, dict) else None
    if isinstance(named, str):
        return [(("rules",), named)] if named.strip() else []
    return [
        (("rules", index), name)
        for index, name in enumerate(named if isinstance(named, list) else [])
        if isinstance(name, str) and name.strip()
    ]


def _owner(config: Config) -> Owner:
    me, marks = config.me, config.marks
    hours = WorkingHours(zone=me.time_zone, holidays=Holidays(me.holidays) if me.holidays else frozenset())
    if me.working_hours is not None:
        hours = WorkingHours(zone=me.time_zone, weekly=me.working_hours.days, holidays=hours.holidays)
    return Owner(
        name=me.name,
        addresses=me.addresses,
        hours=hours,
        marks=Marks(held=marks.held, missed=marks.missed, missed_by_me=marks.missed_by_me, away=marks.away),
        language=me.language,
    )


__all__ = [
    "AccountConfig",
    "Config",
    "ConfigProblems",
    "Problem",
    "Secret",
    "SecretUnavailable",
    "Settings",
    "Tree",
    "find_config",
    "load",
    "load_policy",
    "read_yaml",
    "schema",
    "validate",
]
