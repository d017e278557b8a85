"""Rows that went missing, models without what they came from, and held-out problems among examples: each in true files of its own."""

from __future__ import annotations

import pytest

from lib import forgetting, keys, records
from tests.audited_home import audited, edited, named, put, record_of
from tests.filter_stage import completion, problem
from tests.small_home import PROBLEMS, SmallHome, completion_id, draw, example_id, filter, model_files, train_some

RIGHT = {(0, 0), (1, 0), (2, 0)}
LAW = {"strategy": "lib.samplers.independent:Independent", "n": 1}


def stage(small: SmallHome, number: int, name: str):
    """The publications of a stage, as its round's record tells."""
    import json

    jobs = json.loads(record_of(small.home, number).read_text())["stages"][name]["jobs"]
    return [small.store.read(job["key"], job["version"]) for job in jobs]


def refilter(small: SmallHome, kept, dropped):
    """Round 1's filter stage as if it had said this; its tables are sealed as they are."""
    shards = small.store.folders(
        next(
            small.store.read(k, 1).digest for k in small.store.published_keys() if small.store.read(k, 1).ingredients["kind"] == "problems"
        )
    )
    put(small.home, 1, "main/filter", filter(small, shards, stage(small, 1, "main/sample"), stage(small, 1, "main/verify"), kept, dropped))


def fates(small: SmallHome):
    ours = [(completion_id(small.base, n, i), n, (n, i) in RIGHT) for n in range(4) for i in range(2)]
    return [(c, n) for c, n, right in ours if right], [(c, "KeepCorrect", "not correct") for c, _, right in ours if not right]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda kept, dropped: (kept, dropped[1:]), "expected each completion in an example's sources or dropped, found 1 in neither"),
        (lambda kept, dropped: (kept[1:], dropped), "found 1 in neither"),
        (
            lambda kept, dropped: (kept, [*dropped, (dropped[0][0], "Dedup", "twice")]),
            "expected each completion dropped once, found 1 dropped twice",
        ),
        (lambda kept, dropped: (kept, [*dropped, (kept[0][0], "Dedup", "kept too")]), "found 1 in both"),
        (lambda kept, dropped: (kept, [*dropped, ("f" * 16, "Dedup", "whose?")]), "that the stage was not given, found 1 not given"),
    ],
    ids=["a dropped row", "an example", "dropped twice", "kept and dropped", "not given"],
)
def test_a_completion_without_one_fate_is_named(small: SmallHome, spoil, says: str):
    refilter(small, *spoil(*fates(small)))
    found = named(audited(small.home))
    assert [check for check, _ in found] == ["conservation"]
    assert found[0][1].startswith("round 1 main/filter: ")
    assert says in found[0][1]


def test_an_example_without_sources_is_named(small: SmallHome):
    (made,) = stage(small, 1, "main/filter")
    kept, dropped = fates(small)
    rows = [
        {"example_id": example_id(c), "problem_id": PROBLEMS[n], "input_ids": [1, 7], "labels": [-100, 7], "weight": 1.0} for c, n in kept
    ]
    files = {
        "examples_sft.parquet": (records.SFT, [*rows, {**rows[0], "example_id": "e" * 16}]),
        "example_sources.parquet": (
            records.EXAMPLE_SOURCES,
            [{"example_id": example_id(c), "completion_id": c, "part": "whole"} for c, _ in kept],
        ),
        "dropped.parquet": (records.DROPPED, [{"unit": "completion", "id": c, "filter": f, "reason": r} for c, f, r in dropped]),
    }
    with small.store.workspace() as out:
        from lib import tables

        for name, (spec, content) in files.items():
            tables.write(spec.table(content), spec, out / name)
        put(small.home, 1, "main/filter", small.store.publish(out, made.key, made.ingredients, {}, {}))
    found = named(audited(small.home))
    assert [check for check, _ in found] == ["conservation"]
    assert f"1 examples without sources (the first: {'e' * 16})" in found[0][1]


def test_a_record_that_declares_other_rows_than_its_files_hold_is_named(small: SmallHome):
    one = stage(small, 1, "main/sample")[0]
    with small.store.workspace() as out:
        (out / "completions.parquet").write_bytes((small.store.folder(one.digest) / "completions.parquet").read_bytes())
        made = small.store.publish(out, one.key, one.ingredients, {"completions": 5}, {})
    edited(record_of(small.home, 1), lambda record: record["stages"]["main/sample"]["jobs"][0].update(version=made.version))
    found = named(audited(small.home))
    assert [check for check, _ in found] == ["records"]
    assert "expected 5 rows of completions, found 4" in found[0][1]


def test_a_record_under_another_key_than_its_own_is_named(small: SmallHome):
    (made,) = stage(small, 1, "main/filter")
    with small.store.workspace() as out:
        for path in small.store.folder(made.digest).glob("*.parquet"):
            (out / path.name).write_bytes(path.read_bytes())
        forged = small.store.publish(out, "0" * 64, made.ingredients, {}, {})
    put(small.home, 1, "main/filter", forged)
    found = named(audited(small.home))
    assert [check for check, _ in found] == ["records"]
    assert "expected the key of its ingredients" in found[0][1]


def sampled(small: SmallHome, shards, rows, n: int):
    """A sample job under the code of today, which owes n completions a problem."""
    settings = {"sampler": {**LAW, "n": n}}
    made = {"kind": "sample", "settings": settings, "inputs": {"problems": [small.store.content(ref) for ref in shards]}, "models": {}}
    made |= {"code": keys.closure(["lib.samplers.independent"])[0], "versions": {}, "seed": 1}
    with small.store.workspace() as out:
        from lib import tables

        tables.write(records.COMPLETIONS.table(rows), records.COMPLETIONS, out / "completions.parquet")
        return small.store.publish(out, keys.key_of(made), made, {}, {})


@pytest.mark.parametrize(("rows", "says"), [(4, None), (3, "round 2 main/extra: expected 4 completions, found 3")])
def test_a_sampler_that_made_fewer_rows_than_it_owes_is_named(small: SmallHome, rows: int, says: str | None):
    shard = draw(small)[0]
    held = [completion(f"c{place}", PROBLEMS[place // 2]) for place in range(rows)]
    publication = sampled(small, [shard], held, n=2)

    def change(record):
        record["stages"]["main/extra"] = {
            "verb": "sample",
            "jobs": [{"label": "", "key": publication.key, "version": 1, "digest": publication.digest, "reused": False}],
            "made": {},
            "read": {},
        }

    edited(record_of(small.home, 2), change)
    report = audited(small.home)
    assert report.counts["rows_owed"] == 1
    assert [line for _, line in named(report)] == (
        [] if says is None else [line for _, line in named(report) if says in line and len(named(report)) == 1]
    )


def remembered(small: SmallHome, rows: int, evicted) -> None:
    """Round 2's training as if it had been given both rounds' examples, 3 and 5, and had evicted these."""
    made = train_some(small, "some", small.first, [small.examples[1], small.examples[2]], rows, evicted)
    put(small.home, 2, "main/train", made)
    edited(record_of(small.home, 2), lambda record: record["made"].update(policy=made.digest))


@pytest.mark.parametrize(
    ("rows", "evicted", "says"),
    [
        (5, [(0, 0), (0, 1), (0, 2)], []),
        (9, [], []),
        (5, [(0, 0), (0, 1)], ["expected 5 of 8 examples to stay, found 6, as"]),
        (5, [(0, 0), (0, 1), (0, 2), (1, 0)], ["expected 5 of 8 examples to stay, found 4, as"]),
        (5, [(0, 0), (0, 1), (0, 3)], ["nothing evicted that it was not given, found 1 examples (the first: ", "found 6"]),
        (9, [(1, 0)], ["expected 8 of 8 examples to stay, found 7, as"]),
    ],
)
def test_a_training_that_evicted_more_or_less_than_its_settings_say_is_named(small: SmallHome, rows: int, evicted, says: list[str]):
    remembered(small, rows, [(place, completion_id(small.base, n, 0)) for place, n in evicted])
    found = named(audited(small.home))
    assert [check for check, _ in found] == ["memory"] * len(says)
    assert all(words in line for words, (_, line) in zip(says, found, strict=True))


def test_what_was_evicted_and_then_forgotten_is_counted_no_more(small: SmallHome):
    remembered(small, 5, [(0, completion_id(small.base, n, 0)) for n in range(3)])
    forgetting.forget(small.home, "completion", completion_id(small.base, 0, 0))
    forgetting.forget(small.home, "completion", completion_id(small.first, 1, 0))
    assert [line for check, line in named(audited(small.home)) if check == "memory"] == []


def test_a_model_whose_examples_or_parent_are_nowhere_is_named(small: SmallHome):
    made = {"kind": "train", "settings": {}, "inputs": {"examples": ["1" * 64]}, "models": {"start": {"weights": "2" * 64}}}
    made |= {"code": {}, "versions": {}, "seed": 1}
    with small.store.workspace() as out:
        for name, content in model_files("orphan").items():
            (out / name).write_text(content)
        orphan = small.store.publish(out, keys.key_of(made), made, {}, {})
    put(small.home, 2, "main/train", orphan)
    edited(record_of(small.home, 2), lambda record: record["made"].update(policy=orphan.digest))
    found = named(audited(small.home))
    assert [check for check, _ in found] == ["ancestry", "ancestry"]
    assert "expected its examples 111111111111 in the store, found none" in found[0][1]
    assert "expected its start model, of weights 222222222222, in the store, found none" in found[1][1]


def hold_out(small: SmallHome, rows, prompt_ids):
    """A gate's problems, and a model's answers to them, on round 2's record."""
    files = {"shard-000/problems.parquet": (records.PROBLEMS, rows)}
    made = small.publish("problems", {"source": {}, "split": "gate"}, {}, {}, files)
    (shard,) = small.store.folders(made.digest)
    asked = [completion(f"held{place}", row["problem_id"], prompt_ids=prompt_ids) for place, row in enumerate(rows)]
    answers = small.publish("sample", {"sampler": LAW}, {"problems": [shard]}, {}, {"completions.parquet": (records.COMPLETIONS, asked)})

    def change(record):
        record["stages"]["evaluate/gate"] = {
            "verb": "evaluate",
            "jobs": [{"label": "", "key": answers.key, "version": 1, "digest": answers.digest, "reused": False}],
            "made": {},
            "read": {"problems": [shard]},
        }

    edited(record_of(small.home, 2), change)


@pytest.mark.parametrize(
    ("held", "prompt_ids", "how", "artifacts"),
    [
        (problem(PROBLEMS[3], text="nobody asks this"), [9, 9], "by its id", 1),
        (problem("f" * 16, text="1,5,8 > 45 :"), [9, 9], "by what it asks", 3),
        (problem("f" * 16, text="nobody asks this"), [1, 2], "by the tokens of its prompt", 3),
    ],
    ids=["id", "text", "tokens"],
)
def test_a_held_out_problem_among_the_examples_is_named(small: SmallHome, held, prompt_ids, how: str, artifacts: int):
    hold_out(small, [held], prompt_ids)
    found = named(audited(small.home))
    assert {check for check, _ in found} == {"held_out"}
    assert len(found) == artifacts
    assert all(f"of problem {held['problem_id']} of the gate problems, met {how} (the first: " in line for _, line in found)


def test_held_out_problems_that_nobody_learned_from_are_counted(small: SmallHome):
    hold_out(small, [problem("f" * 16, text="3,4,5>6:"), problem("e" * 16, text="3,4,5>7:")], [9, 9])
    report = audited(small.home)
    assert named(report) == []
    assert report.counts["held_out_problems"] == 2
