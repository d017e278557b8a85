"""Forgetting where one thing is made of another: proposals and problems, nodes of a tree, tables beside a model."""

import shutil

import pytest

from lib import forgetting, garbage, records, tombstone
from lib.campaign import CampaignFolder
from lib.errors import Collected
from lib.home import Home
from lib.lineage import lineage
from lib.round_record import RoundRecord
from tests.filter_stage import completion, node, problem
from tests.lib.test_forgetting import asked, cells
from tests.small_home import PROBLEMS, build, model_files, note


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return build(Home(tmp_path_factory.mktemp("home")))


@pytest.fixture
def small(made, home):
    return made.copy(home)


def proposed(small):
    """Two proposals that were read as one problem, and an answer to it; the problem's id."""
    born = "b" * 20
    rows = [completion(name, PROBLEMS[0], role="proposer", text="4,6,7>17") for name in ("proposal-1", "proposal-2")]
    proposals = small.publish("sample", {"propose": 1}, {}, {}, {"completions.parquet": (records.COMPLETIONS, rows)})
    files = {
        "shard-000/problems.parquet": (records.PROBLEMS, [problem(born, "4,6,7>17:", parent_ids=["proposal-1", "proposal-2"])]),
        "example_sources.parquet": (records.EXAMPLE_SOURCES, [{"example_id": born, "completion_id": "proposal-1", "part": "born"}]),
        "dropped.parquet": (records.DROPPED, [{"unit": "completion", "id": "proposal-2", "filter": "Born", "reason": "duplicate"}]),
    }
    made = small.publish("filter", {"born": 1}, {"completions": [proposals.digest]}, {}, files)
    answers = {"completions.parquet": (records.COMPLETIONS, [completion("answer", born, text="4+6+7")])}
    small.publish("sample", {"answer": 1}, {"problems": small.store.folders(made.digest)}, {}, answers)
    return born


@pytest.mark.parametrize(("kind", "name"), [("completion", "proposal-1"), ("problem", "b" * 20)])
def test_a_proposal_and_the_problem_made_of_it_go_together(small, kind, name):
    born = proposed(small)
    done = forgetting.forget(small.home, kind, name)
    assert (done.problems, done.removed, done.examples) == ((born,), ("answer",), (born,))
    assert {*done.blanked} == {"proposal-1", "proposal-2"}
    said = cells(small.home)
    assert "4,6,7>17" not in said and "4+6+7" not in said
    assert asked(small.home, f"SELECT 1 FROM example_sources WHERE example_id = '{born}'") == []
    assert asked(small.home, "SELECT id, reason FROM dropped WHERE id LIKE 'proposal%' ORDER BY id") == [
        ("proposal-1", "forgotten"),
        ("proposal-2", "forgotten"),
    ]
    assert dict(lineage(small.home, "problem", born).facts)["forgotten"] == done.at


def test_a_problem_takes_those_along_that_were_made_of_answers_to_it(small):
    born = proposed(small)
    done = forgetting.forget(small.home, "problem", PROBLEMS[0])
    assert done.born == (born,)
    assert {"proposal-1", "proposal-2", "answer"} <= {*done.removed}
    assert "4,6,7>17" not in cells(small.home)


def test_what_continues_the_tokens_of_a_tree_s_node_goes_with_it(small):
    rows = [completion(name, text=f"secret {name}") for name in ("node-1", "node-2", "node-3", "aside-1")]
    tree = [node("node-1"), node("node-2", "node-1", 2), node("node-3", "node-2", 3), node("aside-1")]
    small.publish(
        "sample", {"tree": 1}, {}, {}, {"completions.parquet": (records.COMPLETIONS, rows), "nodes.parquet": (records.NODES, tree)}
    )
    done = forgetting.forget(small.home, "completion", "node-1")
    assert done.blanked == ("node-1", "node-2", "node-3")
    assert asked(small.home, "SELECT text FROM completions WHERE text LIKE 'secret%'") == [("secret aside-1",)]


def test_a_champion_whose_training_kept_what_was_forgotten_stays(small):
    """The tables beside its weights are rewritten, and so its digest is another."""
    files = {**model_files("online"), "completions.parquet": (records.COMPLETIONS, [completion("sampled", text="secret")])}
    made = small.publish("train", {"iterations": {}}, {}, {"start": small.first}, files, stats={"label": "demo r3 main/train"})
    record = RoundRecord("demo", 3, 1, "accepted", start={"policy": small.first}, made={"policy": made.digest})
    note(record, "main/train", "train", [made], "model")
    CampaignFolder(small.home, "demo").write_round(record)
    forgetting.forget(small.home, "completion", "sampled")
    assert (now := small.store.now(made.digest)) != made.digest
    assert now not in {item.name for item in garbage.find(small.home, 0)}


def test_weights_that_were_collected_stay_so_where_the_tables_beside_them_are_rewritten(small):
    files = {**model_files("online"), "completions.parquet": (records.COMPLETIONS, [completion("sampled", text="secret")])}
    made = small.publish("train", {"iterations": {}}, {}, {"start": small.first}, files, stats={"label": "demo r3 main/train"})
    whole = small.store.files(made.digest)
    maker = tombstone.Maker("demo", 3, "main/train")
    small.store.collect(made.digest, ["model.safetensors"], maker)
    forgetting.forget(small.home, "completion", "sampled")
    now = small.store.now(made.digest)
    assert now != made.digest
    with pytest.raises(Collected, match="make it again with: roundhouse rerun demo --round 3 --from main/train"):
        small.store.verify(now)
    assert small.store.gone(now) == {"model.safetensors": whole["model.safetensors"]}
    assert asked(small.home, "SELECT text FROM completions WHERE text = 'secret'") == []

    with small.store.workspace() as again:
        for path in small.store.folder(now).glob("*.parquet"):
            shutil.copyfile(path, again / path.name)
        for name, text in model_files("online").items():
            (again / name).write_text(text)
        assert small.store.adopt(again) == now, "made again, it is the same model"
    small.store.verify(now)
