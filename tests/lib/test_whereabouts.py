import json

import pytest

from lib import inventory, noted, records, whereabouts
from lib.home import Home
from lib.ledger import Ledger
from lib.lineage import lineage
from lib.store import Store
from lib.whereabouts import LAST, Whereabouts
from tests.filter_stage import completion
from tests.small_home import PROBLEMS, build, completion_id, example_id


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return build(Home(tmp_path_factory.mktemp("home")))


@pytest.fixture
def small(made, home):
    return made.copy(home)


@pytest.fixture
def none_loose(monkeypatch):
    """Every artifact is put into a segment, however few there are."""
    monkeypatch.setattr(whereabouts, "LOOSE", 0)


def found(home):
    return Whereabouts(home, inventory.take(home).files)


def segments(home):
    return json.loads((home.index / "ids.json").read_text())


def test_a_few_artifacts_are_looked_through_without_any_index(small):
    ids = found(small.home)
    assert ids.holders("example", example_id(completion_id(small.base, 1, 0))) == sorted([small.examples[1], small.examples[2]])
    assert not small.home.index.exists()


def test_an_index_answers_as_the_artifacts_do(small, monkeypatch):
    def answers(ids):
        names = [("problem", PROBLEMS[0]), ("answered", PROBLEMS[0]), ("completion", completion_id(small.first, 2, 1))]
        near = ids.near("completion", "8" * 8)
        return [ids.holders(*name) for name in names], ids.like("completion", "0", "8" + LAST, 9), near

    before = answers(found(small.home))
    monkeypatch.setattr(whereabouts, "LOOSE", 0)
    indexed = found(small.home)
    assert (small.home.index / "ids.json").is_file()
    assert answers(indexed) == before == answers(found(small.home))


def test_every_walk_is_the_same_with_an_index(small, monkeypatch):
    name = completion_id(small.base, 0, 0)
    asked = [("completion", name), ("problem", PROBLEMS[0]), ("example", example_id(name)), ("model", small.first)]
    before = [lineage(small.home, *one) for one in asked]
    monkeypatch.setattr(whereabouts, "LOOSE", 0)
    assert [lineage(small.home, *one) for one in asked] == before


def test_what_is_published_later_gets_a_segment_that_grows_together_with_others(small, none_loose):
    found(small.home)
    first = segments(small.home)
    files = {"shard-000/problems.parquet": (records.TABLES["problems"], [])}
    small.publish("problems", {"split": "later"}, {}, {}, files)
    found(small.home)
    assert [segment["ids"] for segment in segments(small.home)] == [first[0]["ids"], 0]
    again = small.publish("sample", {}, {}, {}, {"completions.parquet": _completions(small)})
    ids = found(small.home)
    joined = segments(small.home)
    assert len(joined) < 3 and sum(len(segment["artifacts"]) for segment in joined) == len(first[0]["artifacts"]) + 2
    assert again.digest in ids.holders("completion", completion_id(small.base, 0, 0))


def _completions(small):
    row = completion(completion_id(small.base, 0, 0), PROBLEMS[0], text="the same id again, in another artifact")
    return records.COMPLETIONS, [row]


def test_an_artifact_that_is_gone_counts_no_more(small, none_loose):
    name = example_id(completion_id(small.base, 1, 0))
    found(small.home)
    Store(small.home.store).set_aside(small.store.folder(small.examples[1]))
    assert found(small.home).holders("example", name) == [small.examples[2]]


def test_an_index_that_cannot_be_read_is_made_again(small, none_loose):
    before = found(small.home).holders("problem", PROBLEMS[0])
    (small.home.index / "ids.json").write_text("{")
    assert found(small.home).holders("problem", PROBLEMS[0]) == before
    assert len(segments(small.home)) == 1


def test_a_name_is_no_sql_and_no_format(small):
    ids = found(small.home)
    for name in ("'; --", "{ids}", "%", "_" * 6):
        assert ids.holders("problem", name) == []
        assert len(ids.near("problem", name)) in (1, 2)


def test_notes_are_taken_where_there_is_much_and_kept_true(small, monkeypatch):
    before = inventory.take(small.home)
    assert not (small.home.index / "noted.json").exists()
    monkeypatch.setattr(noted, "WORTH_IT", 1)
    monkeypatch.setattr(noted, "SETTLED_NS", -1)
    inventory.take(small.home)
    assert (small.home.index / "noted.json").is_file()
    assert inventory.take(small.home) == before
    assert inventory.Noted(small.home.index / "noted.json", [__file__]).of("a path", 0, lambda: "read") == "read"
    key = small.store.published_keys()[0]
    again = small.store.read(key, 1)
    with small.store.workspace() as out:
        (out / "model.safetensors").write_text("other weights")
        small.store.publish(out, key, again.ingredients, {}, {})
    assert inventory.take(small.home).tables["artifacts"].num_rows == before.tables["artifacts"].num_rows + 1


def test_a_ledger_without_views_reads_parts(small):
    with Ledger(small.home, views=False) as ledger:
        rows = ledger.rows(f"SELECT count(*) AS n FROM {ledger.part('examples_sft', [small.examples[1]])}")
    assert rows == [{"n": 3}]
