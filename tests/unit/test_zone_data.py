"""Of two sets of time zone data the newer counts."""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator
from pathlib import Path

import pytest
import tzdata  # type: ignore[import-untyped]

from daemon import zone_data


@pytest.fixture
def _as_before() -> Iterator[None]:
    """Leave Python's own order as it was."""
    before = zoneinfo.TZPATH
    yield
    zoneinfo.reset_tzpath(before)


@pytest.mark.parametrize(
    ("said", "counts"),
    [("# version 2015a\n", False), ("# version 2999z\n", True), (None, False), ("R A 1\n", False)],
)
@pytest.mark.usefixtures("_as_before")
def test_the_machines_data_counts_only_when_it_is_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None, counts: bool
) -> None:
    """An old machine's is passed over, and one that does not say how old it is; a newer one's is not."""
    monkeypatch.delenv("PYTHONTZPATH", raising=False)
    if said is not None:
        (tmp_path / "tzdata.zi").write_text(said)
    zoneinfo.reset_tzpath([str(tmp_path)])
    zone_data.use_newest()
    assert ((str(tmp_path),) if counts else ()) == zoneinfo.TZPATH


@pytest.mark.usefixtures("_as_before")
def test_who_names_a_folder_means_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PYTHONTZPATH has the last word."""
    monkeypatch.setenv("PYTHONTZPATH", str(tmp_path))
    zoneinfo.reset_tzpath([str(tmp_path)])
    zone_data.use_newest()
    assert (str(tmp_path),) == zoneinfo.TZPATH


def test_the_version_is_one_that_compares() -> None:
    """A year and a letter."""
    assert tzdata.IANA_VERSION[:4].isdecimal()
    assert "2015a" < tzdata.IANA_VERSION < "2999z"
