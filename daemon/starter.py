"""What ``init`` writes: the plain starter files, or one of the example packs."""

from __future__ import annotations

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

STARTER = ("config.yaml", "rules.yaml", "rules.test.yaml")
PACK = (*STARTER, "README.md")

_HOME = resources.files("daemon").joinpath("init")


def packs() -> dict[str, Traversable]:
    """The example packs by name: those of the installed package, or else of the source tree."""
    shipped = _HOME.joinpath("packs")
    home = shipped if shipped.is_dir() else Path(__file__).parents[1] / "examples"
    if not home.is_dir():
        return {}
    found = {one.name: one for one in home.iterdir() if one.joinpath("rules.yaml").is_file()}
    return dict(sorted(found.items()))


def files(pack: str | None = None) -> dict[str, str]:
    """Each file's name and text. Raises KeyError when there is no such pack."""
    home, names = (packs()[pack], PACK) if pack else (_HOME, STARTER)
    return {name: home.joinpath(name).read_text(encoding="utf-8") for name in names}
