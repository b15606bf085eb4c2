"""A file's tree made into a model, or every mistake in it with its place."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from daemon.config.problems import ConfigProblems, Problem
from daemon.config.yaml_tree import Tree
from rules.faults import faults_of

M = TypeVar("M", bound=BaseModel)


def validate(model: type[M], tree: Tree) -> M:
    """The tree as ``model``. Raises :class:`ConfigProblems` with every mistake in it."""
    found, problems = validated(model, tree)
    if found is None or problems:
        raise ConfigProblems(problems)
    return found


def validated(model: type[M], tree: Tree) -> tuple[M | None, list[Problem]]:
    """The tree as ``model``, None if it cannot be, with every mistake by line and column."""
    problems = list(tree.problems)
    found = None
    try:
        found = model.model_validate(tree.data)
    except ValidationError as error:
        problems += [tree.problem(each) for each in faults_of(error)]
    return found, sorted(problems, key=place)


def place(problem: Problem) -> tuple[int, int]:
    """Where a problem sorts in its file."""
    return problem.line, problem.column
