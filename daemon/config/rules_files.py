"""Several files of rules made into one policy, with what is wrong in them and between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from daemon.config.problems import ConfigProblems, Problem
from daemon.config.validation import place, validated
from daemon.config.yaml_tree import Tree, read_yaml
from rules.faults import Fault, Loc, brief, not_one_of
from rules.fields import Pattern
from rules.match import DEEPEST
from rules.model import Marks
from rules.policy import Do, Guard, Policy, RulesFile, name_faults


@dataclass(frozen=True, slots=True)
class Known:
    """The names a rule may speak of: accounts, clients, webhooks; None where any name may be right.

    ``marks`` are the labels by which the owner says what a meeting is or became. With ``templates`` those
    that are named must lie beside the rules, or come with rebookd.
    """

    accounts: tuple[str, ...] | None = None
    clients: tuple[str, ...] | None = None
    webhooks: tuple[str, ...] | None = None
    marks: tuple[str, ...] = ()
    templates: bool = False

    @classmethod
    def of(cls, config: Any) -> Self:
        """The names in a configuration's plain data, even where other things in it are wrong."""
        if not isinstance(config, dict):
            return cls(templates=True)
        hooks = config.get("webhooks", {})
        webhooks = tuple(map(str, hooks)) if isinstance(hooks, dict) else None
        marks = tuple(_marks(config.get("marks")))
        accounts = config.get("accounts")
        if not isinstance(accounts, dict) or not all(isinstance(each, dict) for each in accounts.values()):
            return cls(webhooks=webhooks, marks=marks, templates=True)
        clients = (each.get("client") for each in accounts.values())
        named = dict.fromkeys(each for each in clients if isinstance(each, str))
        return cls(tuple(accounts), tuple(named), webhooks, marks, templates=True)

    def stranger(self, kind: str, text: str) -> Fault | None:
        """What is wrong with an exact name that no account or client has."""
        names = {"account": self.accounts, "client": self.clients}.get(kind)
        pattern = Pattern(text)
        if names is None or not pattern.exact or any(map(pattern.matches, names)):
            return None
        if not names:
            return Fault(f"'{brief(text)}' is no {kind} of yours", f"add {kind}: to an account")
        return not_one_of(text, names, what=f"one of your {kind}s:")

    def no_webhook(self, name: str) -> Fault | None:
        """What is wrong with the name of a webhook that the configuration does not have."""
        if self.webhooks is None or name in self.webhooks:
            return None
        if not self.webhooks:
            hint = "add it under webhooks: in the configuration"
            return Fault(f"'{brief(name)}' is no webhook of yours", hint)
        return not_one_of(name, self.webhooks, what="one of your webhooks:")

    def no_label(self, label: str) -> Fault | None:
        """What is wrong with a label that is evidence where I put it on an event myself."""
        words = [mark.strip().casefold() for mark in self.marks]
        if label.strip().casefold() not in {*words, *(word.strip("[]") for word in words)}:
            return None
        said = "by that label I say myself what a meeting is or became"
        return Fault(f"'{brief(label)}' is one of the marks", f"use another; {said}")


@dataclass(slots=True)
class RulesFiles:
    """The rules files read so far, and what is wrong in them.

    Unless all are ``complete``, a name that none of them has may still be right.
    """

    paths: list[Path] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    complete: bool = True
    _trees: list[tuple[Tree, RulesFile | None]] = field(default_factory=list)

    @property
    def trees(self) -> list[Tree]:
        """What was read, file by file."""
        return [tree for tree, _ in self._trees]

    def read(self, path: Path) -> None:
        """Read one more file."""
        self.paths.append(path)
        try:
            tree = read_yaml(path)
        except ConfigProblems as error:
            self.problems += error.problems
            self.complete = False
            return
        found, problems = validated(RulesFile, tree)
        self._trees.append((tree, found))
        self.problems += problems

    def policy(self, known: Known) -> Policy | None:
        """All files as one policy; None when something is wrong in them or between them."""
        strangers = [tree.problem(each) for tree, _ in self._trees for each in _strangers(tree.data, known)]
        between = [*self._names(), *self._twice("guard"), *self._twice("digest"), *strangers]
        between += self._templates() if known.templates else []
        order = {str(path): index for index, path in enumerate(self.paths)}
        self.problems = sorted(
            [*self.problems, *between], key=lambda each: (order.get(each.file, 0), *place(each))
        )
        read = [rules for _, rules in self._trees if rules is not None]
        if self.problems or not read:
            return None
        guard = next((each.guard for each in read if "guard" in each.model_fields_set), Guard())
        digest = next((each.digest for each in read if each.digest is not None), None)
        rules = tuple(rule for each in read for rule in each.rules)
        return Policy(version=1, guard=guard, digest=digest, rules=rules)

    def _names(self) -> list[Problem]:
        places: list[tuple[Tree, int]] = []
        names: list[str | None] = []
        inhibited: list[list[str]] = []
        for tree, _ in self._trees:
            for index, rule in enumerate(_raw_rules(tree.data)):
                places.append((tree, index))
                name = rule.get("name")
                names.append(name if isinstance(name, str) else None)
                inhibited.append(_texts(rule.get("inhibited_by")))
        if not self.complete:
            names.append(None)
            inhibited.append([])
        found: list[Problem] = []
        for fault in name_faults(names, inhibited):
            tree, index = places[int(fault.loc[0])]
            found.append(tree.problem(replace(fault, loc=("rules", index, *fault.loc[1:]))))
        return found

    def _templates(self) -> list[Problem]:
        """What is wrong with the templates that steps name: in the rules where there is none, else in it."""
        found: list[Problem] = []
        for tree, rules in self._trees:
            for index, rule in enumerate(rules.rules if rules is not None else ()):
                for number, step in enumerate(rule.then):
                    if step.template is not None:
                        loc = ("rules", index, "then", number, "template")
                        found += _unusable(tree, loc, step.template, step.do, self.paths[0].parent)
        return found

    def _twice(self, key: str) -> list[Problem]:
        """What is wrong where more than one file has this key."""
        having = [tree for tree, _ in self._trees if isinstance(tree.data, dict) and key in tree.data]
        return [
            tree.problem(Fault(f"the {key} is already in {having[0].file}", "keep one", (key,), "key"))
            for tree in having[1:]
        ]


def _unusable(tree: Tree, loc: Loc, name: str, do: Do, folder: Path) -> list[Problem]:
    from daemon.mail.template_files import check_template  # noqa: PLC0415 - few rules name a template
    from daemon.mail.template_language import TemplateError  # noqa: PLC0415 - with them

    try:
        check_template(name, do.value, folder)
    except TemplateError as error:
        if not error.path.is_file():
            return [tree.problem(Fault(f"'{brief(name)}' is no template", error.sentence, loc))]
        said = f"{tree.file} uses this template"
        return [Problem(file=str(error.path), line=error.line, column=1, message=error.sentence, help=said)]
    return []


def _raw_rules(data: Any) -> list[dict[str, Any]]:
    rules = data.get("rules") if isinstance(data, dict) else None
    return [rule if isinstance(rule, dict) else {} for rule in rules] if isinstance(rules, list) else []


def _texts(value: object) -> list[str]:
    """One text or a list of them as a list, with nothing in the place of anything else."""
    listed = value if isinstance(value, list) else [value]
    return [each if isinstance(each, str) else "" for each in listed]


def _marks(configured: object) -> Iterator[str]:
    """The labels in force, where the configuration names some and where it does not."""
    usual = Marks()
    own = configured if isinstance(configured, dict) else {}
    for key in ("held", "missed", "missed_by_me", "away"):
        yield from _texts(own[key]) if key in own else getattr(usual, key)


def _strangers(data: Any, known: Known) -> Iterator[Fault]:
    """Names in the rules that the configuration does not have, and labels that would be evidence."""
    for index, rule in enumerate(_raw_rules(data)):
        when = rule.get("when")
        for stranger in _strangers_of_match(rule.get("match"), known):
            yield stranger.under("rules", index, "match")
        steps = rule.get("then")
        for number, step in enumerate(steps if isinstance(steps, list) else ()):
            for fault in _strangers_of_step(step, known):
                yield fault.under("rules", index, "then", number)
        options = when.get("conflict") if isinstance(when, dict) else None
        for entry, text in enumerate(_texts(options.get("keep")) if isinstance(options, dict) else ()):
            kind, _, name = (part.strip() for part in text.partition(":"))
            if name and (wrong := known.stranger(kind, name)):
                yield wrong.under("rules", index, "when", "conflict", "keep", entry)


def _strangers_of_step(step: object, known: Known) -> Iterator[Fault]:
    if not isinstance(step, dict):
        return
    webhook, label = step.get("webhook"), step.get("label")
    if isinstance(webhook, str) and step.get("do") == Do.WEBHOOK and (wrong := known.no_webhook(webhook)):
        yield wrong.under("webhook")
    if isinstance(label, str) and step.get("do") == Do.MARK and (wrong := known.no_label(label)):
        yield wrong.under("label")


def _strangers_of_match(match: object, known: Known, depth: int = 0) -> Iterator[Fault]:
    if not isinstance(match, dict) or depth > DEEPEST:
        return
    for kind in ("account", "client"):
        for entry, name in enumerate(_texts(match.get(kind))):
            if name.strip() and (wrong := known.stranger(kind, name.strip())):
                yield wrong.under(kind, entry)
    for key in ("any", "all", "not"):
        inner = match.get(key)
        for entry, one in enumerate(inner if isinstance(inner, list) else [inner]):
            for stranger in _strangers_of_match(one, known, depth + 1):
                yield stranger.under(key, entry)


def load_policy(path: Path) -> Policy:
    """One file of rules by itself, whatever the accounts. Raises :class:`ConfigProblems`."""
    files = RulesFiles()
    files.read(path)
    policy = files.policy(Known())
    if policy is None:
        raise ConfigProblems(files.problems)
    return policy
