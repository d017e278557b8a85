"""A round whose tokens come from model servers that it starts itself: a new one for each model, and a key that stays a secret."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lib import records, tables
from lib.home import Home
from lib.store import Store
from tests.flows.conftest import ROOT, SMALL, Run, digests

pytestmark = pytest.mark.slow

KEY = "sk-very-secret-0123456789"

RECIPE = '''"""Everything that a served model writes is learned."""

from lib.engines.openai_server import OpenaiServer
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft
from lib.verifiers.countdown import Countdown

RECIPE = Recipe(
    phases=(Phase(sampler=Independent(n=2), verifiers=(Countdown(),), trainer=Sft(start_from="base", steps=4)),),
    evaluators=(PassAtK(k=(1,), sampler=Independent(n=1), verifiers=(Countdown(),)),),
    engine=OpenaiServer(command="COMMAND", key_variable="MY_KEY", concurrency=4),
)
'''


def test_each_round_is_sampled_from_a_server_of_its_own_model_and_the_key_is_written_nowhere(
    home: Home, run: Run, model: Path, tmp_path: Path
):
    command = f"{sys.executable} {ROOT / 'tests' / 'model_server.py'} --folder {{folder}} --name {{digest}} --port {{port}} --key MY_KEY"
    (tmp_path / "served.py").write_text(RECIPE.replace("COMMAND", command))
    words = ["improve", "served", "--recipe", str(tmp_path / "served.py"), "--model", str(model), "--rounds", "1", *SMALL]
    ended = run(*words, MY_KEY=KEY)
    assert ended.returncode == 0, ended.stderr
    made = digests(home, "served")
    store = Store(home.store)
    rows = tables.read([store.folder(d) / "completions.parquet" for d in made["1/main/sample"]], records.COMPLETIONS).to_pylist()
    assert len(rows) == 80
    assert {row["ids_source"] for row in rows} == {"engine"}
    assert {row["finish_reason"] for row in rows} <= {"stop", "length"}
    assert all(len(row["logprobs"]) == len(row["completion_ids"]) for row in rows)
    assert KEY not in ended.stdout + ended.stderr
    written = [path for path in home.root.rglob("*") if path.is_file()]
    assert any(path.suffix == ".db" for path in written), "MLflow's too"
    assert [path for path in written if KEY.encode() in path.read_bytes()] == []
    assert not any((home.root / "scratch").rglob("*.jsonl")), "what was kept for a crash goes when the shard is published"
    again = run(*words, MY_KEY="another")
    assert again.returncode == 0, again.stderr
    assert digests(home, "served") == made
