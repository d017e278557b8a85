"""`roundhouse verify`: recorded completions judged from the command line, cached like any stage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lib import records, tables
from lib.home import Home
from lib.store import Store
from tests.flows.conftest import Run, executed

pytestmark = pytest.mark.slow

PROBLEMS = [{"question": f"What is {n} plus {n}?", "answer": str(2 * n)} for n in range(8)]
"""Eight sums, of which the models answered six."""
COMPLETIONS: list[dict[str, Any]] = [
    {
        "question": f"What is {n} plus {n}?",
        "small": {"solution": f"The answer is {2 * n}.", "is_correct": n != 3},
        "large": {"solution": f"It is {2 * n + 1}", "is_correct": False},
    }
    for n in range(6)
]


def jsonl(path: Path, rows: list[Any]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    problems = jsonl(tmp_path / "problems.jsonl", PROBLEMS)
    completions = jsonl(
        tmp_path / "completions.jsonl", [*COMPLETIONS, {"question": "Who?", "small": {"solution": "?", "is_correct": True}}]
    )
    return ["verify", "--completions", completions, "--problems", problems, "--set", "problems.prompt=question"]


def test_it_prints_counts_agreement_and_every_disagreement(run: Run, words: list[str]):
    ended = run(*words, COLUMNS="200")
    assert ended.returncode == 0, ended.stderr
    assert "completions.jsonl: 12 completions of 6 problems" in ended.stdout
    assert "answer against the label recorded:is_correct: agreed 11 of 12" in ended.stdout
    assert "rows left out: 1" in ended.stdout
    disagreement = ended.stdout.partition("disagreements with the labels")[2]
    assert "What is 3 plus 3?" in disagreement
    assert "'6' is the answer" in disagreement
    assert "verify: verify/verify" in ended.stderr


def test_it_says_the_same_as_json_in_a_folder_and_in_the_store(run: Run, words: list[str], home: Home, tmp_path: Path):
    ended = run(*words, "--json", "--out", str(tmp_path / "out"))
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert found == json.loads((tmp_path / "out" / "report.json").read_text())
    assert found["left_out"] == [
        {"file": "completions.jsonl", "where": "line 7, small", "field": "", "why": "answers no problem of the set (prompt 'Who?')"}
    ]
    assert [(row["agreed"], row["of"]) for row in found["agreement"]] == [(11, 12)]
    verdicts = tables.read(tmp_path / "out" / "verdicts.parquet", records.VERDICTS)
    store = Store(home.store)
    stored = [store.folder(digest) / "verdicts.parquet" for digest in found["artifacts"]["verdicts"]]
    assert sorted(tables.read(stored, records.VERDICTS).to_pylist(), key=str) == sorted(verdicts.to_pylist(), key=str)
    assert verdicts.num_rows == tables.read(tmp_path / "out" / "completions.parquet", records.COMPLETIONS).num_rows == 12


def test_what_was_judged_before_is_reused_under_another_name_and_judged_anew_by_others(run: Run, words: list[str], home: Home):
    first = json.loads(run(*words, "--json").stdout)
    done = executed(home)
    renamed = Path(words[2]).with_name("renamed.jsonl")
    Path(words[2]).rename(renamed)
    words[2] = str(renamed)
    again = json.loads(run(*words, "--json").stdout)
    assert executed(home) == done
    assert again["artifacts"] == first["artifacts"]
    both = json.loads(run(*words, "--json", "--verifier", "answer", "--verifier", "length", "--set", "length.most=3").stdout)
    assert len(executed(home)) == len(done) + 1
    assert [(row["first"], row["second"], row["of"]) for row in both["between_verifiers"]] == [("answer", "length", 12)]


def test_a_file_with_questions_and_answers_needs_no_problem_set(run: Run, tmp_path: Path):
    rows = [{"question": "1+1?", "gold": "2", "response": ["2", "3"]}]
    ended = run("verify", "--completions", jsonl(tmp_path / "own.jsonl", rows), "--json")
    assert ended.returncode == 0, ended.stderr
    found = json.loads(ended.stdout)
    assert [(row["verifier"], row["correct"], row["wrong"]) for row in found["verifiers"]] == [("answer", 1, 1)]
    assert found["agreement"] == []


@pytest.mark.parametrize(
    ("more", "line"),
    [
        (["--completions", "nowhere.jsonl"], "nowhere.jsonl'; give the path of the data"),
        (["--completions", "README.md"], "ends in none of .jsonl, .json"),
        (["--problems", "gsm9k:."], "no problem set 'gsm9k'"),
        (["--verifier", "anser"], "did you mean 'answer'?"),
        (["--verifier", "likelihood"], "verifier 'Likelihood' asks a model"),
        (["--set", "answer=3"], "write it as VERIFIER.SETTING=VALUE"),
        (["--column", "txt=a"], "no field 'txt' for --column txt=a; did you mean 'text'?"),
    ],
)
def test_a_mistake_is_one_line(run: Run, words: list[str], more: list[str], line: str):
    ended = run(*words, *more)
    assert ended.returncode == 1
    lines = [found for found in ended.stderr.splitlines() if found.startswith("roundhouse:")]
    assert len(lines) == 1
    assert line in lines[0]
    assert "Traceback" not in ended.stderr


def test_a_generated_set_has_no_problems_to_have_answered(run: Run, words: list[str]):
    ended = run(*words[:3], "--problems", "countdown")
    assert ended.returncode == 1
    assert "problem set 'countdown' is generated and has no fixed problems" in ended.stderr


def test_published_solutions_agree_with_their_labels(run: Run, data: Path):
    words = ["--completions", str(data / "gsm8k" / "example_model_solutions.shared.jsonl"), "--problems", f"gsm8k:{data / 'gsm8k'}"]
    found = json.loads(run("verify", *words, "--json").stdout)
    assert [(row["agreed"], row["of"]) for row in found["agreement"]] == [(2640, 2640)]
    assert found["left_out"] == found["disagreements"] == []
