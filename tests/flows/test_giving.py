"""A real campaign that forgets a completion which was learned from, goes on, and is exported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from lib.home import Home
from lib.ledger import Ledger
from lib.store import Store
from tests.flows.conftest import Run, digests

pytestmark = pytest.mark.slow

RECIPE = '''"""Whatever was written is learned, so that a model of any skill goes through a round."""
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(Phase(sampler=Independent(n=2, max_new_tokens=16), trainer=Sft(start_from="previous", steps=2)),),
    evaluators=(PassAtK(k=(1,), sampler=Independent(n=1, max_new_tokens=16)),),
    gate=None,
)
'''


def learned_from(home: Home) -> dict[str, Any]:
    """A completion of round 1 that was learned from, its text and its problem."""
    asked = """SELECT c.completion_id, c.problem_id, c.text FROM completions AS c JOIN example_sources USING (completion_id)
    JOIN stages AS s ON s.digest = c.artifact WHERE s.round = 1 ORDER BY len(c.text) DESC, 1 LIMIT 1"""
    with Ledger(home) as ledger:
        answer = ledger.query(asked)
    return dict(zip(answer.columns, answer.rows[0], strict=True))


def texts(home: Home) -> str:
    paths = sorted(home.root.rglob("*.parquet"))
    return "\n".join(str(pq.read_table(path).to_pylist()) for path in paths if path.stem in ("completions", "problems", "verdicts"))


def test_a_campaign_forgets_goes_on_and_is_given_away(run: Run, home: Home, model: Path, tmp_path: Path):
    (tmp_path / "all.py").write_text(RECIPE)
    words = ("--model", str(model), "--recipe", str(tmp_path / "all.py"), "--count", "8", "--held-out", "2", "--rounds", "1")
    assert (begun := run("improve", "tiny", *words)).returncode == 0, begun.stderr
    gone = learned_from(home)
    assert repr(gone["text"])[1:-1] in texts(home)

    done = json.loads(run("forget", "completion", gone["completion_id"][:10], "--json").stdout)
    assert len(done["artifacts"]) == 3 and list(done["models"].values()) == ["directly"]
    assert repr(gone["text"])[1:-1] not in texts(home)

    onward = run("improve", "tiny", "--rounds", "2", "--json")
    assert onward.returncode == 0, onward.stderr
    walk = json.loads(run("lineage", "completion", gone["completion_id"], "--json").stdout)
    told = [(child["id"], child["relation"]) for child in walk["children"]]
    later = digests(home, "tiny")["2/main/train"][0]
    assert told == [(next(iter(done["models"])), "had learned from it"), (later, "inherited by")]
    again = run("rerun", "tiny", "--round", "1", "--from", "sample", "--json")
    assert again.returncode == 0, again.stderr
    assert repr(gone["text"])[1:-1] not in texts(home), "drawn from the same seed, it is taken out before it is published"

    forgotten = json.loads(run("forget", "problem", gone["problem_id"], "--json").stdout)
    assert forgotten["completions_removed"] and gone["problem_id"] not in texts(home)
    assert run("forget", "problem", gone["problem_id"]).returncode == 1

    assert run("export", "model", "tiny:1", str(tmp_path / "model")).returncode == 0
    load = "import sys, transformers as t; [c.from_pretrained(sys.argv[1]) for c in (t.AutoModelForCausalLM, t.AutoTokenizer)]"
    loaded = subprocess.run([sys.executable, "-c", load, str(tmp_path / "model")], capture_output=True, text=True)
    assert loaded.returncode == 0, loaded.stderr
    refused = run("export", "model", "tiny:1", str(tmp_path / "model"))
    assert (refused.returncode, "is not empty" in refused.stderr) == (1, True)
    assert run("export", "bundle", "tiny", str(tmp_path / "bundle")).returncode == 0
    checked = subprocess.run([sys.executable, "-I", "-S", str(tmp_path / "bundle" / "verify.py")], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    for digest in forgotten["artifacts"]:
        Store(home.store).verify(digest)
