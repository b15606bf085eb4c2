"""The example packs: each is valid, rehearsed to its last step, and written by ``init --pack``."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon import starter
from daemon.__main__ import main
from daemon.config.settings import load
from rules.detections import DETECTORS
from rules.policy import TO_OTHERS, Mode

NAMES = ("agency", "consultant", "solo-assistant")


def run(*words: str) -> Result:
    """Run one command in this process."""
    return CliRunner().invoke(main, list(words))


def test_the_packs_are_those_of_the_manual() -> None:
    """Three, each with its files."""
    assert tuple(starter.packs()) == NAMES
    assert all(tuple(starter.files(name)) == starter.PACK for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_pack_is_valid_and_every_step_of_it_is_rehearsed(name: str, tmp_path: Path) -> None:
    """What init writes passes check and test, and no rule or step is untested."""
    folder = tmp_path / "desk"
    assert run("init", "--pack", name, str(folder)).exit_code == 0
    assert {one.name for one in folder.iterdir()} >= set(starter.PACK)
    checked = run("--config", str(folder / "config.yaml"), "check")
    assert checked.exit_code == 0, checked.output
    tested = run("test", str(folder / "rules.test.yaml"))
    assert tested.exit_code == 0, tested.output
    assert "no test touches" not in tested.output


def test_all_questions_are_asked_in_each_pack(tmp_path: Path) -> None:
    """A pack is a place to begin from: all nine detectors stand in each."""
    for name in NAMES:
        run("init", "--pack", name, str(tmp_path / name))
        policy = load(tmp_path / name / "config.yaml").policy
        assert {rule.when.word for rule in policy.rules} == set(DETECTORS), name


def test_a_lone_assistant_approves_what_goes_to_clients(tmp_path: Path) -> None:
    """No rule of that pack writes to others by itself."""
    run("init", "--pack", "solo-assistant", str(tmp_path))
    policy = load(tmp_path / "config.yaml").policy
    writing = [rule for rule in policy.rules if any(step.do in TO_OTHERS for step in rule.then)]
    assert {rule.mode for rule in writing} == {Mode.APPROVE}


def test_init_never_overwrites_unasked(tmp_path: Path) -> None:
    """A README that is already there stops a pack; --force does not ask."""
    (tmp_path / "README.md").write_text("mine")
    refused = run("init", "--pack", "agency", str(tmp_path))
    assert refused.exit_code == 1
    assert "README.md is already there" in refused.output
    assert not (tmp_path / "config.yaml").exists()
    assert run("init", "--pack", "agency", "--force", str(tmp_path)).exit_code == 0
    assert (tmp_path / "README.md").read_text().startswith("# Agency")


def test_an_unknown_pack_is_suggested(tmp_path: Path) -> None:
    """A mistake on the command line, with the word that was meant."""
    result = run("init", "--pack", "agensy", str(tmp_path))
    assert result.exit_code == 2
    assert "did you mean 'agency'?" in result.output
    assert list(tmp_path.iterdir()) == []
