import pytest

from lib import records, tables
from lib.errors import BadProblems
from lib.filters.born_problems import BornProblems
from lib.problems.countdown import Countdown
from lib.protocols import Builder
from tests.filter_stage import Filtered, completion, filtered, problem, stage, work


def proposals(**texts):
    return [completion(name, "context", text=text, role="proposer") for name, text in texts.items()]


def born(result):
    paths = sorted(result.out.glob("shard-*/problems.parquet"))
    return {records.chat(row["prompt"])[0]["content"]: row for row in tables.read(paths, records.PROBLEMS).to_pylist()}


def test_a_proposal_becomes_a_problem_with_its_proposals_as_parents(tmp_path):
    given = proposals(a="5,1,8>45", b="1,5,8>45", c="2,2,5>20")
    result = filtered(tmp_path, [BornProblems()], given, problems=[problem("context")])
    found = born(result)
    assert set(found) == {"1,5,8>45:", "2,2,5>20:"}
    row = found["1,5,8>45:"]
    assert (row["source"], row["task"], row["answer"], row["parent_ids"], row["context_ids"]) == (
        "proposed",
        "countdown",
        None,
        ["a", "b"],
        ["context"],
    )
    (dropped,) = result.dropped.items()
    assert dropped[0] in "ab"
    assert dropped[1] == "duplicate"
    assert {row["part"] for row in result.rows("example_sources")} == {"born"}
    assert {row["example_id"] for row in result.rows("example_sources")} == {row["problem_id"] for row in found.values()}
    assert result.stats["examples"] == 2


def test_every_other_proposal_is_dropped_with_its_reason(tmp_path):
    countdown = Countdown()
    held, given = countdown.problems("gate", 1, 0).to_pylist()[0], countdown.problems("train", 1, 0).to_pylist()[0]
    texts = {row["problem_id"]: records.chat(row["prompt"])[0]["content"].removesuffix(":") for row in (held, given)}
    asked = proposals(
        good="2,2,5>20",
        words="a problem",
        four="1,2,3,4>10",
        large="1,2,21>40",
        impossible="1,1,1>99",
        same="2,5,10>10",
        held=texts[held["problem_id"]],
        known=texts[given["problem_id"]],
    )
    asked += [
        completion("long", "context", text="1,5,8>45", finish_reason="length"),
        completion("failed", "context", finish_reason="error"),
    ]
    result = filtered(tmp_path, [BornProblems()], asked, problems=[problem("context"), given], held_out=[held])
    assert set(born(result)) == {"2,2,5>20:"}
    assert result.dropped == {
        "words": "not of the form a,b,c>t",
        "four": "4 numbers, not 3",
        "large": "21 is above 20",
        "impossible": "no solution",
        "same": "the target 10 is one of the numbers",
        "held": "held out",
        "known": "given already",
        "long": "cut off",
        "failed": "error",
    }


def test_a_born_problem_has_the_id_that_the_problem_set_gives_it_and_knows_its_round(tmp_path):
    row = Countdown().problems("train", 1, 0).to_pylist()[0]
    text = records.chat(row["prompt"])[0]["content"].removesuffix(":")
    made = work(tmp_path, [BornProblems()], proposals(a=text), problems=[problem("context")])
    out = tmp_path / "out"
    out.mkdir()
    made.settings["round"] = 3
    result = Filtered(out, stage.run(made, out))
    (found,) = born(result).values()
    assert (found["problem_id"], found["born_round"]) == (row["problem_id"], 3)


def test_many_problems_stand_in_several_shards(tmp_path):
    texts = {f"p{a}-{b}": f"{a},{b},20>{a * b + 20}" for a in range(2, 5) for b in range(5, 20) if 10 <= a * b + 20 <= 99}
    many = {
        f"{name}-{c}": f"{a.split(',')[0]},{a.split(',')[1]},{c}>{int(a.split(',')[0]) * int(a.split(',')[1]) + c}"
        for name, a in texts.items()
        for c in range(1, 21)
    }
    result = filtered(tmp_path, [BornProblems()], proposals(**many), problems=[problem("context")])
    shards = [path.parent.name for path in sorted(result.out.glob("shard-*/problems.parquet"))]
    assert len(shards) > 1
    assert len(born(result)) == result.stats["examples"]
    assert result.stats["completions"] == result.stats["examples"] + sum(result.stats["dropped"].values())


def test_neither_the_order_nor_the_files_of_the_proposals_matter(tmp_path):
    texts = {f"c{i:02}": f"{i % 4 + 1},{i % 5 + 2},{i % 6 + 3}>{i % 7 + 10}" for i in range(60)}
    given = {"completions": proposals(**texts), "problems": [problem("context")]}
    one = filtered(tmp_path / "one", [BornProblems()], **given)
    other = filtered(tmp_path / "other", [BornProblems()], parts=3, **{name: rows[::-1] for name, rows in given.items()})
    assert one.stats == other.stats
    files = [sorted(path for path in made.out.rglob("*.parquet")) for made in (one, other)]
    assert [path.read_bytes() for path in files[0]] == [path.read_bytes() for path in files[1]]
    used = [row["completion_id"] for row in one.rows("example_sources")]
    assert sorted([*used, *one.dropped]) == sorted(texts)


def test_without_any_problem_the_stage_says_so(tmp_path):
    with pytest.raises(BadProblems, match="no proposal became a problem"):
        filtered(tmp_path, [BornProblems()], proposals(a="x"), problems=[problem("context")])


def test_it_is_a_builder():
    assert isinstance(BornProblems(), Builder)
