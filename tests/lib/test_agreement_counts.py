"""Counts that may be added over shards, and shares that are those of the whole."""

import random

import pytest

from lib import agreement, agreement_counts, records
from tests.filter_stage import verdict


def verdicts(names, of):
    draw = random.Random(3)
    rows = [verdict(name, draw.choice(agreement.OUTCOMES), verifier) for name in names for verifier in of if draw.random() < 0.9]
    return rows + [verdict(name, None, "scorer", score=0.5) for name in names]


def table(rows):
    return records.VERDICTS.table(rows)


def test_counts_of_shards_add_up_to_those_of_the_whole():
    rows = verdicts([f"c{i}" for i in range(60)], ["a", "b/x", "gold"])
    shards = [[row for row in rows if int(row["completion_id"][1:]) % 3 == shard] for shard in range(3)]
    counted = [agreement_counts.counts(table(shard), "gold") for shard in shards]
    whole = agreement_counts.counts(table(rows), "gold")
    assert {name: sum(one[name] for one in counted) for name in whole} == whole
    assert all(agreement_counts.is_count(name) for name in whole)


def test_shares_are_those_of_the_confusion_matrices():
    rows = table(verdicts([f"c{i}" for i in range(60)], ["a", "b", "gold"]))
    shares = agreement_counts.shares(agreement_counts.counts(rows, "gold"))
    for judge in ("a", "b"):
        matrix = agreement.confusion(rows, "gold", judge)
        assert shares[f"precision/{judge}"] == matrix.quality.precision.value
        assert shares[f"recall/{judge}"] == matrix.quality.recall.value
    pair = agreement.confusion(rows, "a", "b")
    assert shares["agreed_share/a/b"] == pair.agreed / pair.total
    assert {name.removeprefix("undecided_share/"): value for name, value in shares.items() if name.startswith("und")} == pytest.approx(
        agreement.undecided_share(rows)
    )


def test_one_judge_or_a_gold_that_is_not_there_measures_nobody():
    assert agreement_counts.counts(table(verdicts(["c"] * 1, ["a"]))) == {}
    two = agreement_counts.counts(table([verdict("c", verifier="a"), verdict("c", verifier="b")]), "nobody")
    assert not any(name.startswith("gold") for name in two)


def test_a_share_of_nothing_is_left_out():
    rows = [verdict("c", "wrong", "gold"), verdict("c", "wrong", "a")]
    shares = agreement_counts.shares(agreement_counts.counts(table(rows), "gold"))
    assert shares == {"undecided_share/a": 0, "undecided_share/gold": 0, "agreed_share/a/gold": 1}


@pytest.mark.parametrize("name", ["outcomes", "seconds", "judged", "tokens_sampled"])
def test_other_figures_are_no_counts(name):
    assert not agreement_counts.is_count(name)
