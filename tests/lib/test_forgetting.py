import json
import shutil

import pyarrow.parquet as pq
import pytest

from lib import exported, forgetting, records, tables
from lib.campaign import CampaignFolder
from lib.errors import Held, UnknownName, UserError
from lib.forgotten import known
from lib.home import Home
from lib.ledger import NAMED, Ledger
from lib.lineage import lineage
from lib.outbox import pending
from lib.store import Store
from tests.filter_stage import problem
from tests.small_home import HOSTILE, PROBLEMS, build, completion_id, example_id


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return build(Home(tmp_path_factory.mktemp("home")))


@pytest.fixture
def small(made, home):
    return made.copy(home)


def cells(home):
    """Everything that any Parquet file below a home says, as text."""
    return "\n".join(str(pq.read_table(path).to_pylist()) for path in sorted(home.root.rglob("*.parquet")))


def plain(home):
    """The bytes of every other file."""
    return b"\n".join(path.read_bytes() for path in sorted(home.root.rglob("*")) if path.is_file() and path.suffix != ".parquet")


def asked(home, sql):
    with Ledger(home) as ledger:
        return ledger.query(sql).rows


def balances(home):
    """Of every filter artifact: completions used, dropped, and both."""
    used = "SELECT artifact, completion_id AS id FROM example_sources WHERE part <> 'prompt'"
    both = (
        f"SELECT artifact, count(*), count(DISTINCT id) FROM ({used} UNION ALL SELECT artifact, id FROM dropped) GROUP BY ALL ORDER BY ALL"
    )
    return asked(home, both)


def test_a_completion_that_was_learned_from_is_nowhere_afterwards(small):
    name = completion_id(small.base, 0, 0)
    assert repr(HOSTILE)[1:-1] in cells(small.home)
    before = asked(small.home, f"SELECT count(*) FROM completions WHERE completion_id = '{name}' AND text <> ''")
    done = forgetting.forget(small.home, "completion", name)
    assert before == [(1,)]
    assert asked(
        small.home,
        f"SELECT DISTINCT text, len(completion_ids), len(logprobs), finish_reason, seed FROM completions WHERE completion_id = '{name}'",
    ) == [("", 0, 0, "error", 0)]
    assert done.learned == {small.first: "directly", small.second: "directly"}
    assert done.examples == (example_id(name),)
    assert example_id(name) not in cells(small.home)
    assert asked(small.home, f"SELECT DISTINCT outcome, score, reason FROM verdicts WHERE completion_id = '{name}'") == [
        ("undecided", None, "forgotten")
    ]


def test_what_is_forgotten_is_in_no_byte_of_the_home(small):
    for model in (small.random, small.base, small.first):
        name = completion_id(model, 0, 0)
        if asked(small.home, f"SELECT 1 FROM completions WHERE completion_id = '{name}'"):
            forgetting.forget(small.home, "completion", name)
    for model in (small.base, small.first):
        forgetting.forget(small.home, "completion", completion_id(model, 0, 0, "validation"))
    assert repr(HOSTILE)[1:-1] not in cells(small.home)
    assert HOSTILE.encode() not in plain(small.home)


def test_counts_that_stages_promise_hold(small):
    def shown():
        return [(total, distinct) for _, total, distinct in balances(small.home)]

    before = shown()
    forgetting.forget(small.home, "completion", completion_id(small.base, 0, 0))
    assert sorted(shown()) == sorted(before) and all(total == distinct for total, distinct in before)
    counts = "SELECT count(*) FROM completions UNION ALL SELECT count(*) FROM verdicts"
    whole = asked(small.home, counts)
    forgetting.forget(small.home, "problem", PROBLEMS[1])
    assert all(total == distinct for total, distinct in shown())
    assert [row[0] for row in asked(small.home, counts)] < [row[0] for row in whole]
    asked_of = "SELECT count(*) FROM completions WHERE problem_id NOT IN (SELECT problem_id FROM problems)"
    assert asked(small.home, asked_of) == [(0,)]


def test_a_problem_goes_with_everything_that_was_written_for_it(small):
    done = forgetting.forget(small.home, "problem", PROBLEMS[2][:10])
    assert (done.id, len(done.removed)) == (PROBLEMS[2], 7)
    said = cells(small.home)
    assert PROBLEMS[2] not in said and "2,5,8>45:" not in said
    assert all(name not in said for name in (*done.removed, *done.examples))
    assert {small.base, small.first, small.second} == set(done.learned)


def test_lineage_still_names_who_had_learned_from_it(small):
    name = completion_id(small.random, 1, 0)
    done = forgetting.forget(small.home, "completion", name)
    walk = lineage(small.home, "completion", name[:8])
    assert {node.id: dict(node.facts)["how"] for node in walk.children} == done.learned
    assert done.learned == {small.base: "directly", small.first: "by replay", small.second: "by replay"}
    assert dict(walk.facts)["forgotten"] == done.at
    told = dict(lineage(small.home, "model", small.second).facts)
    assert told["learned_before_it_was_forgotten"] == [f"completion {name} (by replay)"]


def test_a_model_that_came_of_a_learner_is_named_with_whom_it_came_through(small):
    last = small.publish(
        "train", {}, {}, {"start": small.second}, {"model.safetensors": "later", "config.json": "{}", "tokenizer_config.json": "{}"}
    )
    done = forgetting.plan(small.home, "completion", completion_id(small.first, 1, 0))
    assert done.learned == {small.second: "directly", last.digest: f"through {small.second}"}
    walk = lineage(small.home, "completion", completion_id(small.first, 1, 0))
    assert [node.id for node in walk.children if node.relation == "inherited by"] == [last.digest]


def test_old_digests_mean_the_new_artifacts(small):
    old = small.examples[1]
    done = forgetting.forget(small.home, "completion", completion_id(small.base, 0, 0))
    store = Store(small.home.store)
    assert done.artifacts[old] == store.now(old) != old
    assert store.folder(old) == store.place(done.artifacts[old])
    assert sorted(path.name for path in store.place(old).iterdir()) == [".files.json", ".forgotten.json"]
    store.verify(old)
    assert store.content(old) == done.artifacts[old]
    assert store.folders(asked(small.home, "SELECT digest FROM artifacts WHERE kind = 'problems'")[0][0])
    record = CampaignFolder(small.home, "demo").record(1).stages["main/filter"]["jobs"][0]
    assert record["digest"] == old, "a round's record is as it was"
    assert asked(small.home, "SELECT digest FROM stages WHERE round = 1 AND stage = 'main/filter'") == [(done.artifacts[old],)]


def test_a_new_version_of_each_record_says_what_was_forgotten(small):
    name = completion_id(small.base, 0, 0)
    done = forgetting.forget(small.home, "completion", name)
    store = Store(small.home.store)
    for before, after in done.artifacts.items():
        key = next(key for key in store.published_keys() if store.read(key, 1).digest == before)
        newest = store.lookup(key)
        told = json.loads((small.home.store / "by-key" / key / f"{newest.version}.json").read_text())["forgot"]
        assert (newest.version, newest.digest) == (2, after)
        assert told == {"kind": "completion", "id": name, "at": done.at, "version": 1, "before": before, "after": after}
        store.read(key, 2)


def test_a_shard_without_it_keeps_its_content_and_so_its_key(small):
    digest = asked(small.home, "SELECT digest FROM artifacts WHERE kind = 'problems'")[0][0]
    store = Store(small.home.store)
    before = [store.content(shard) for shard in store.folders(digest)]
    forgetting.forget(small.home, "problem", PROBLEMS[0])
    after = [store.content(shard) for shard in store.folders(digest)]
    assert (before[0] == after[0], before[1] == after[1]) == (False, True)


def test_nothing_published_later_holds_it_again(small):
    name = completion_id(small.base, 0, 0)
    draw = small.publish("problems", {"split": "again"}, {}, {}, {"shard-000/problems.parquet": (records.PROBLEMS, [problem(PROBLEMS[3])])})
    forgetting.forget(small.home, "completion", name)
    forgetting.forget(small.home, "problem", PROBLEMS[3])
    assert Store(small.home.store).now(draw.digest) != draw.digest
    path = next(p for p in small.home.store.glob("artifacts/*/*/completions.parquet") if name in str(pq.read_table(p).to_pylist()))
    row = next(row for row in tables.read(path, records.COMPLETIONS).to_pylist() if row["completion_id"] == name)
    again = {**row, "text": "drawn from the same seed", "completion_ids": [7, 8], "logprobs": [-1.0, -1.0], "finish_reason": "stop"}
    drawn = small.publish("sample", {"again": 1}, {}, {}, {"completions.parquet": (records.COMPLETIONS, [again])})
    rows = [problem(PROBLEMS[3]), problem(PROBLEMS[2])]
    problems = small.publish(
        "problems", {"split": "more"}, {}, {}, {"shard-000/problems.parquet": (records.PROBLEMS, rows)}, rows={"problems": 2}
    )
    assert "drawn from the same seed" not in cells(small.home)
    assert tables.rows_in(Store(small.home.store).folder(problems.digest)) == problems.rows == {"problems": 1}
    assert tables.rows_in(Store(small.home.store).folder(drawn.digest)) == {"completions": 1}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["completion", "problem"])
@pytest.mark.parametrize("step", (1, 2, 3, 6, 8))
def test_a_kill_in_the_middle_is_finished_by_the_same_command(small, monkeypatch, kind, step):
    name = {"completion": completion_id(small.base, 0, 0), "problem": PROBLEMS[0]}[kind]
    left = iter(range(step))

    class Killed(BaseException):
        pass

    def dying(of):
        def call(*given, **named):
            if next(left, None) is None:
                raise Killed
            return of(*given, **named)

        return call

    with monkeypatch.context() as patched:
        for where in ("adopt", "record", "replace"):
            patched.setattr(Store, where, dying(getattr(Store, where)))
        with pytest.raises(Killed):
            forgetting.forget(small.home, kind, name)
    for digest in {row[0] for row in asked(small.home, "SELECT digest FROM artifacts WHERE bytes IS NOT NULL")}:
        Store(small.home.store).verify(digest)
    assert [one.is_done for one in known(small.home.store)] == [False]
    done = forgetting.forget(small.home, kind, name)
    assert [one.is_done for one in known(small.home.store)] == [True] and all(done.artifacts.values())
    assert repr(HOSTILE)[1:-1] not in str(
        asked(small.home, f"SELECT text FROM completions WHERE completion_id = '{name}' OR problem_id = '{name}'")
    )
    stones = {path.parent.name for path in small.home.store.glob("artifacts/*/*/.forgotten.json")}
    assert stones == {digest for digest, after in done.artifacts.items() if after != digest}
    assert all(len(list(Store(small.home.store).place(digest).iterdir())) == 2 for digest in stones)


def test_a_dry_run_changes_nothing(small):
    before = {path: path.read_bytes() for path in small.home.root.rglob("*") if path.is_file()}
    planned = forgetting.plan(small.home, "problem", PROBLEMS[0])
    assert {path: path.read_bytes() for path in small.home.root.rglob("*") if path.is_file()} == before
    assert forgetting.forget(small.home, "problem", PROBLEMS[0]).artifacts.keys() == planned.artifacts.keys()


def test_every_named_query_still_answers(small):
    forgetting.forget(small.home, "problem", PROBLEMS[0])
    forgetting.forget(small.home, "completion", completion_id(small.base, 1, 0))
    for question in NAMED.values():
        asked(small.home, question.sql)
    assert len(asked(small.home, "SELECT DISTINCT id FROM forgotten")) == 2
    assert asked(small.home, f"SELECT DISTINCT how FROM forgotten_models WHERE model = '{small.second}' AND kind = 'completion'") == [
        ("directly",)
    ]


def test_quarantine_and_exports_inside_the_home_go_too(small):
    name = completion_id(small.base, 0, 0)
    store = Store(small.home.store)
    copy = small.home.store / "quarantine" / "1234-copy"
    shutil.copytree(store.folder(small.examples[1]), copy)
    (copy.parent / "note.why.json").write_text("{}")
    inside, outside = small.home.root / "out", small.home.root.parent / "out"
    for place in (inside, outside):
        place.mkdir()
        exported.note(small.home, "examples demo", place, [small.examples[1]])
    forgetting.forget(small.home, "completion", name)
    assert [path.name for path in copy.parent.iterdir()] == ["note.why.json"]
    assert not inside.exists() and outside.exists()
    assert [row["place"] for row in exported.holding(small.home, [small.examples[1]])] == [str(outside)]


def test_pages_that_quote_a_longer_text_are_named(small):
    name, text = completion_id(small.base, 0, 0), "3*(4-1)=9 & <so> on, said at length"
    pages = {
        small.home.campaigns / "demo" / "report.html": "&lt;pre&gt;3*(4-1)=9 &amp; &lt;so&gt; on, said at length",
        small.home.root / "mlartifacts" / "demo" / "run" / "report.html": f"<a href='#{name}'>",
        small.home.root / "mlartifacts" / "demo" / "run" / "answers.json": json.dumps({"text": text}),
        small.home.root / "mlartifacts" / "demo" / "run" / "other.html": "3*(4-1)=9",
    }
    for page, written in pages.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(written)
    found = forgetting.mentions(small.home, forgetting.plan(small.home, "completion", name), text)
    assert {small.home.root / place for place in found} & pages.keys() == set(list(pages)[:3])


def test_models_are_marked_through_the_outbox(small):
    name = completion_id(small.base, 0, 0)
    forgetting.forget(small.home, "completion", name)
    (event,) = [queued.event for queued in pending(small.home.outbox)]
    assert (event["kind"], event["campaign"], event["what"], event["id"]) == ("forget", "demo", "completion", name)
    assert {model["digest"] for model in event["models"]} == {small.first, small.second}


def test_a_campaign_that_runs_is_waited_for(small):
    name = completion_id(small.base, 0, 0)
    with CampaignFolder(small.home, "demo").hold(wait=False), pytest.raises(Held):
        forgetting.forget(small.home, "completion", name)
    assert known(small.home.store) == []


def test_what_cannot_be_forgotten_says_so(small):
    with pytest.raises(UnknownName, match="did you mean 'problem'"):
        forgetting.plan(small.home, "problems", PROBLEMS[0])
    with pytest.raises(UserError, match="no completion begins with '000000'; nearest"):
        forgetting.plan(small.home, "completion", "000000")
    forgetting.forget(small.home, "problem", PROBLEMS[0])
    with pytest.raises(UserError, match=r"problem [0-9a-f]{32} was forgotten on 20..-..-..; nothing of it is left here"):
        forgetting.plan(small.home, "problem", PROBLEMS[0][:8])


def test_a_damaged_note_is_named(small):
    forgetting.forget(small.home, "problem", PROBLEMS[0])
    (path,) = (small.home.store / "forgotten").iterdir()
    path.write_text("{")
    with pytest.raises(UserError, match=r"problem-.*\.json is damaged"):
        forgetting.plan(small.home, "problem", PROBLEMS[0])
