"""What all tests share: nothing that they show, only what they would do again and again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import requests.adapters
from sqlalchemy import Engine, create_engine

from daemon import zone_data
from daemon.store import engine, postgresql

zone_data.use_newest()  # as the daemon itself does

# How fast a test is on a busy machine says nothing about rebookd. Most properties are as plain after 60
# examples as after 100; what needs more says so itself.
hypothesis.settings.register_profile("unhurried", deadline=None, max_examples=60)
hypothesis.settings.load_profile("unhurried")

# No test meets a server whose certificate a public authority signed, and reading all authorities of the
# machine costs 50 ms for each connection made ready, those that requests brings along another 30. Tests of
# TLS name their own authority.
os.environ["SSL_CERT_FILE"] = os.environ["SSL_CERT_DIR"] = os.devnull
requests.adapters.DEFAULT_CA_BUNDLE_PATH = str(Path(__file__).parent / "support" / "nobody.pem")

_first = create_engine("sqlite://")
_first.connect().close()
_first.dispose()
_firsts = {"sqlite": _first}


def _knowing_all_statements(*args: Any, **kwargs: Any) -> Engine:
    """An engine that knows the SQL of every statement that any engine before it wrote.

    Each store of a test has an engine of its own, and writing the same SQL anew takes most of its time.
    """
    made = create_engine(*args, **kwargs)
    first = _firsts.setdefault(made.dialect.name, made)
    made.dialect, made._compiled_cache = first.dialect, first._compiled_cache
    return made


engine.create_engine = postgresql.create_engine = _knowing_all_statements


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)])
def dialect(request: pytest.FixtureRequest) -> Iterator[str]:
    """The test runs once on each kind of store, which ``fresh_store`` then makes."""
    from tests.support.stores import stores_on

    with stores_on(request.param):
        yield request.param


@pytest.fixture(autouse=True)
def closed_stores() -> Iterator[None]:
    """No store outlives its test."""
    yield
    from tests.support.stores import forget_stores

    forget_stores()
