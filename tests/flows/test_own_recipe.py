"""The README's chapter on writing a recipe: its file and its commands, as they stand there."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from lib.home import Home
from tests.flows.conftest import ROOT, Run
from tests.flows.round_tables import by_id, made, outcomes

CHAPTER = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Write a recipe\n")[2].partition("\n## ")[0]


def block(language: str) -> str:
    """The first block of code in the chapter of a language, or of none."""
    return CHAPTER.split(f"```{language}\n")[1].split("```")[0]


@pytest.mark.slow
def test_the_recipe_of_the_readme_runs_as_it_stands_there(home: Home, run: Run, tmp_path: Path):

    (tmp_path / "mine.py").write_text(block("python"))
    commands = [line.partition("#")[0] for line in CHAPTER.splitlines() if line.startswith("roundhouse ")]
    assert [shlex.split(command)[1] for command in commands] == ["recipes", "improve"]
    for command in commands:
        ended = run(*shlex.split(command)[1:], cwd=tmp_path)
        assert ended.returncode == 0, ended.stderr
    record = json.loads((home.campaigns / "mine" / "round-001" / "round.json").read_text())
    assert {row["reason"] for row in made(home, record, "main/filter", "dropped") if row["filter"] == "Shortest"} <= {"longer"}
    completions, said = by_id(home, record, "main/sample"), outcomes(home, record, "main/verify")
    shortest: dict[str, int] = {}
    for name, row in completions.items():
        if said[name] == "correct":
            shortest[row["problem_id"]] = min(len(row["completion_ids"]), shortest.get(row["problem_id"], 99))
    kept = [completions[row["completion_id"]] for row in made(home, record, "main/filter", "example_sources")]
    assert kept
    assert sorted((row["problem_id"], len(row["completion_ids"])) for row in kept) == sorted(shortest.items())
