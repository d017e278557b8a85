import json

import pytest

from lib import records, tables
from lib.datafile import by_content
from lib.engines.scripted import END, Scripted
from lib.errors import UnknownName
from lib.protocols import Machine, Tables
from lib.samplers.recorded import Recorded
from tests.filter_stage import completion, problem

ENGINES = {"policy": Scripted().open(None, "m", Machine())}
GIVEN = Tables(records.PROBLEMS.table([problem("p", text="1+1?"), problem("q", text="2+2?"), problem("r", text="3+3?")]))
ROWS = [
    {"question": "1+1?", "response": "2", "model": "big", "finish_reason": "stop"},
    {"question": "1+1?", "response": "it is", "model": "small", "finish_reason": "length"},
    {"question": "1+1?", "response": "II", "model": "big"},
    {"question": "2+2?", "response": "", "model": "big", "finish_reason": "error"},
    {"question": "9+9?", "response": "18", "model": "big"},
]


def silent(done, total):
    pass


@pytest.fixture
def path(tmp_path):
    (tmp_path / "recorded.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return str(tmp_path / "recorded.jsonl")


def sampled(sampler, given=GIVEN):
    made = sampler.sample(given, ENGINES, 7, silent)
    assert made.num_rows == sampler.owes(given)
    return made.to_pylist()


def test_each_problem_gets_what_was_recorded_for_it_and_one_without_owes_nothing(path):
    rows = sampled(Recorded(path=path))
    assert [(row["problem_id"], row["model_id"], row["sample_index"], row["text"]) for row in rows] == [
        ("p", "recorded:big", 0, "2"),
        ("p", "recorded:big", 1, "II"),
        ("p", "recorded:small", 0, "it is"),
        ("q", "recorded:big", 0, ""),
    ]


def test_tokens_are_the_engines_own_and_only_what_stopped_ends_in_the_end_of_text(path):
    engine = ENGINES["policy"]
    rows = {row["text"]: row for row in sampled(Recorded(path=path))}
    assert rows["2"]["prompt_ids"] == engine.render([{"role": "user", "content": "1+1?"}])
    assert rows["2"]["completion_ids"] == engine.encode("2")
    assert rows["it is"]["completion_ids"] == engine.encode("it is")[:-1]
    assert END not in rows["it is"]["completion_ids"]
    assert rows[""]["completion_ids"] == []
    assert {(row["ids_source"], len(row["logprobs"])) for row in rows.values()} == {("retokenised", 0)}


def test_one_model_and_the_first_n_can_be_asked_for(path):
    assert [row["text"] for row in sampled(Recorded(path=path, written_by="small"))] == ["it is"]
    assert [row["text"] for row in sampled(Recorded(path=path, n=1))] == ["2", ""]


def test_a_shards_rows_do_not_depend_on_the_other_shards(path):
    apart = [row for number in range(3) for row in sampled(Recorded(path=path), Tables(GIVEN.problems.slice(number, 1)))]
    assert apart == sampled(Recorded(path=path))


def test_the_key_holds_the_files_content_and_not_its_path(path, tmp_path):
    (tmp_path / "elsewhere.jsonl").write_text((tmp_path / "recorded.jsonl").read_text())
    one, other = (by_content(Recorded(path=str(place)).model_dump(mode="json")) for place in (path, tmp_path / "elsewhere.jsonl"))
    assert one == other
    (tmp_path / "elsewhere.jsonl").write_text(json.dumps(ROWS[0]))
    assert by_content(Recorded(path=str(tmp_path / "elsewhere.jsonl")).model_dump(mode="json")) != one


def test_tokens_that_our_own_table_has_are_kept_where_the_engine_reads_them_alike(tmp_path):
    engine = ENGINES["policy"]
    ids = engine.encode("2")
    same = completion(
        "c1", prompt_ids=engine.render([{"role": "user", "content": "1+1?"}]), completion_ids=ids, text="2", logprobs=[-1.0] * 2
    )
    other = completion("c2", prompt_ids=[5, 6], completion_ids=[99], text="2", sample_index=1)
    tables.write(records.COMPLETIONS.table([same, other]), records.COMPLETIONS, tmp_path / "completions.parquet")
    rows = sampled(Recorded(path=str(tmp_path / "completions.parquet")))
    assert [(row["ids_source"], row["completion_ids"], len(row["logprobs"])) for row in rows] == [
        ("engine", ids, 2),
        ("retokenised", ids, 0),
    ]
    assert rows[0]["completion_id"] == "c1" != rows[1]["completion_id"]


def test_a_role_that_nobody_plays_is_named(path):
    with pytest.raises(UnknownName, match="no model for role 'teacher'"):
        Recorded(path=path, role="teacher").sample(GIVEN, ENGINES, 7, silent)
