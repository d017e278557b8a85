"""Base keys, and which earlier publications a sample job may take completions from."""

import pytest

from lib import grown, keys, records, tables
from lib.recipes import expert_iteration
from lib.samplers.independent import Independent
from lib.samplers.reference_solutions import ReferenceSolutions
from lib.samplers.with_hint import WithHint
from lib.store import Store
from tests.filter_stage import completion

ENGINE = {"strategy": "lib.engines.scripted:Scripted"}


def ingredients(sampler=None, *, kind="sample", engine=ENGINE, problems="p" * 64, weights="w" * 64, seed=3):
    settings = {"sampler": (sampler or Independent()).model_dump(mode="json"), "engine": engine}
    return keys.ingredients_of(kind, settings, {"problems": [problems]}, {"policy": {"weights": weights}}, seed)


def published(store: Store, sampler, problems=2, **changes):
    """Two problems' completions under a sampler's settings, every second one cut off, and their index entry."""
    made = ingredients(sampler, **changes)
    rows = []
    for problem in range(problems):
        for index in range(sampler.n):
            cut = {"completion_ids": [7] * sampler.max_new_tokens, "finish_reason": "length"} if index % 2 else {}
            rows.append(completion(f"{problem}-{index}", f"p{problem}", sample_index=index, entropy_mean=0.5, **cut))
    with store.workspace() as out:
        tables.write(records.COMPLETIONS.table(rows), records.COMPLETIONS, out / "completions.parquet")
        publication = store.publish(out, keys.key_of(made), made, {"completions": len(rows)}, {})
    grown.remember(store, publication.key, made)
    return publication


def found(store: Store, sampler, **changes):
    return [(one.n, one.max_new_tokens) for one in grown.earlier(store.lookup, store, ingredients(sampler, **changes))]


@pytest.mark.parametrize("sampler", [Independent, WithHint])
def test_the_number_of_samples_and_the_token_limit_are_not_in_a_base_key(sampler):
    base = grown.base_key(ingredients(sampler()))
    assert base is not None
    assert grown.base_key(ingredients(sampler(n=31, max_new_tokens=99))) == base


def test_everything_else_is():
    others = (
        {"sampler": Independent(temperature=0.5)},
        {"sampler": Independent(top_p=0.5)},
        {"sampler": WithHint()},
        {"engine": ENGINE | {"otherwise": "1"}},
        {"problems": "q" * 64},
        {"weights": "x" * 64},
        {"seed": 4},
    )
    assert len({grown.base_key(ingredients(**other)) for other in ({}, *others)}) == 1 + len(others)


def test_code_and_versions_are_in_it_too():
    made = ingredients()
    assert grown.base_key(made) != grown.base_key(made | {"code": made["code"] | {"lib.decoding": "0" * 64}})
    assert grown.base_key(made) != grown.base_key(made | {"versions": {}})


def test_a_sampler_that_names_nothing_that_adds_has_none():
    assert grown.base_key(ingredients(ReferenceSolutions())) is None
    assert grown.base_key({"kind": "train", "settings": {"trainer": {}}}) is None


def test_the_nearest_limit_comes_first_and_what_adds_no_sample_is_left_out(tmp_path):
    store = Store(tmp_path)
    for n, limit in ((2, 8), (4, 16), (3, 16), (6, 64), (9, 4), (8, 12)):
        published(store, Independent(n=n, max_new_tokens=limit))
    assert found(store, Independent(n=3, max_new_tokens=16)) == [(4, 16)], "the larger is enough"
    assert found(store, Independent(n=7, max_new_tokens=16)) == [(4, 16), (8, 12)]
    assert found(store, Independent(n=20, max_new_tokens=10)) == [(2, 8), (9, 4)]
    assert found(store, Independent(n=5, max_new_tokens=3)) == [(9, 4)]
    assert found(store, Independent(n=5), problems="q" * 64) == []


def test_its_own_publication_is_none_of_them(tmp_path):
    store = Store(tmp_path)
    published(store, Independent(n=4))
    assert found(store, Independent(n=4)) == []


@pytest.mark.parametrize("damage", ["rows", "record", "gone", "index"])
def test_what_is_damaged_or_gone_is_passed_over(tmp_path, damage):
    store = Store(tmp_path)
    published(store, Independent(n=4, max_new_tokens=16))
    near = published(store, Independent(n=5, max_new_tokens=20))
    record = tmp_path / "by-key" / near.key / "1.json"
    if damage == "rows":
        file = store.folder(near.digest) / "completions.parquet"
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    elif damage == "record":
        record.write_text("{}")
    elif damage == "gone":
        record.unlink()
    else:
        (tmp_path / "by-base" / str(grown.base_key(ingredients())) / near.key).unlink()
    assert found(Store(tmp_path), Independent(n=6, max_new_tokens=20)) == [(4, 16)]


def test_a_forced_rerun_s_newest_version_is_the_one_that_counts(tmp_path):
    store = Store(tmp_path)
    published(store, Independent(n=2))
    again = published(store, Independent(n=2), problems=3)
    (one,) = grown.earlier(store.lookup, store, ingredients(Independent(n=3)))
    assert (one.name, one.folder) == (f"{again.key}/2", store.folder(again.digest))


def test_a_forecast_counts_what_is_there(tmp_path):
    store = Store(tmp_path)
    published(store, Independent(n=4, max_new_tokens=8))

    def counted(**settings):
        return grown.counted(store.lookup, store, ingredients(Independent(**settings)), "cpu")

    assert counted(n=6, max_new_tokens=8) == (8, 12)
    assert counted(n=6, max_new_tokens=9) == (4, 12)
    assert counted(n=3, max_new_tokens=9) == (4, 6)
    assert counted(n=6, temperature=0.5) == (0, 0)


def test_evaluation_draws_are_the_same_for_every_number_of_samples_and_whoever_samples():
    law = {"top_p": 0.5} | {"n": 8, "temperature": 1.0, "max_new_tokens": 24, "role": "policy"}
    found = grown.ungrown(Independent(n=31, max_new_tokens=5, top_p=0.5, model="base", written_as="past"))
    assert found == {"strategy": "lib.samplers.independent:Independent", **law}
    assert grown.ungrown(expert_iteration.RECIPE.evaluators[0].sampler) == {**found, "top_p": 1.0}
    assert grown.ungrown(ReferenceSolutions()) == ReferenceSolutions().model_dump(mode="json")
