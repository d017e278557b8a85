import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib import records, tables
from lib.errors import BadProblems, UserError
from lib.problems.table import Table
from lib.recordings.columns import Columns
from lib.recordings.recordings import Recordings
from tests.filter_stage import completion, problem

QUESTIONS = [{"prompt": f"What is {n} plus {n}?", "answer": str(2 * n), "id": f"sums/{n}"} for n in range(4)]


def jsonl(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def problems(tmp_path):
    return Table(path=jsonl(tmp_path / "problems.jsonl", *QUESTIONS), id="id").every()


def found(path, problems=None, **columns):
    return Recordings(path=str(path), columns=Columns(**columns)).found(problems)


def texts(made):
    names = {row["problem_id"]: row["source_id"] for row in made.problems}
    return [(names[row["problem_id"]], row["model_id"], row["sample_index"], row["text"]) for row in made.completions]


def labels(made, step=None):
    text_of = {row["completion_id"]: row["text"] for row in made.completions}
    return {text_of[row["completion_id"]]: row["outcome"] for row in made.labels if row["step"] == step and row["outcome"]}


def test_flat_rows_are_one_completion_each_with_its_label(tmp_path, problems):
    rows = [{"task_id": "sums/1", "completion": "2", "passed": True}, {"task_id": "sums/1", "completion": "3", "passed": False}]
    made = found(jsonl(tmp_path / "a.jsonl", *rows), problems)
    assert [(name, index, text) for name, _, index, text in texts(made)] == [("sums/1", 0, "2"), ("sums/1", 1, "3")]
    assert labels(made) == {"2": "correct", "3": "wrong"}
    assert made.faults == []


def test_csv_and_parquet_say_what_jsonl_says(tmp_path, problems):
    (tmp_path / "a.csv").write_text("task_id,completion,passed,model\nsums/1,two,True,m\nsums/2,four,0,m\n")
    pq.write_table(
        pa.table({"task_id": ["sums/1", "sums/2"], "completion": ["two", "four"], "passed": [1, 0], "model": ["m", "m"]}),
        tmp_path / "a.parquet",
    )
    with gzip.open(tmp_path / "a.jsonl.gz", "wt") as file:
        for n, text, passed in ((1, "two", True), (2, "four", False)):
            file.write(json.dumps({"task_id": f"sums/{n}", "completion": text, "passed": passed, "model": "m"}) + "\n")
    made = [found(tmp_path / name, problems) for name in ("a.csv", "a.parquet", "a.jsonl.gz")]
    assert [texts(one) for one in made] == [[("sums/1", "recorded:m", 0, "two"), ("sums/2", "recorded:m", 0, "four")]] * 3
    assert [labels(one) for one in made] == [{"two": "correct", "four": "wrong"}] * 3
    assert len({row["completion_id"] for one in made for row in one.completions}) == 2


def test_lists_are_one_completion_an_entry(tmp_path, problems):
    row = {"question": QUESTIONS[2]["prompt"], "response": ["4", "5"], "score": [True, False], "pred_score": [[3.5], [-1.0]], "level": 5}
    made = found(jsonl(tmp_path / "a.jsonl", row), problems)
    assert [(index, text) for _, _, index, text in texts(made)] == [(0, "4"), (1, "5")]
    assert labels(made) == {"4": "correct", "5": "wrong"}
    assert [row["score"] for row in made.labels if row["outcome"] is None] == [3.5, -1.0]


def test_wide_rows_name_a_model_a_column(tmp_path, problems):
    row = {
        "question": QUESTIONS[1]["prompt"],
        "small": {"solution": "3", "is_correct": False},
        "large": {"solution": "2", "is_correct": True},
    }
    made = found(jsonl(tmp_path / "a.jsonl", row), problems)
    assert [(model, index, text) for _, model, index, text in texts(made)] == [("recorded:small", 0, "3"), ("recorded:large", 0, "2")]
    assert labels(made) == {"3": "wrong", "2": "correct"}


def test_a_list_of_objects_is_one_completion_each(tmp_path, problems):
    row = {"question": QUESTIONS[1]["prompt"], "samples": [{"text": "3", "correct": 0}, {"text": "2", "correct": 1}]}
    made = found(jsonl(tmp_path / "a.jsonl", row), problems)
    assert [(index, text) for _, _, index, text in texts(made)] == [(0, "3"), (1, "2")]
    assert labels(made) == {"3": "wrong", "2": "correct"}


def test_a_label_with_parts_is_right_where_every_part_is(tmp_path, problems):
    rows = [
        {"id": "sums/1", "response": "x", "strict": [True, False], "loose": [True, True]},
        {"id": "sums/2", "response": "y", "strict": [True], "loose": [True]},
    ]
    made = found(jsonl(tmp_path / "a.jsonl", *rows), problems)
    whole = {(row["verifier"], row["outcome"], row["score"]) for row in made.labels if row["step"] is None}
    assert whole == {("recorded:strict", "wrong", 0.5), ("recorded:strict", "correct", 1.0), ("recorded:loose", "correct", 1.0)}
    assert sum(row["step"] is not None and row["outcome"] == "correct" for row in made.labels) == 2 + 3


def test_a_file_brings_its_own_problems_where_none_are_given(tmp_path):
    rows = [
        {"question": "1+1?", "gold": "2", "response": "2"},
        {"question": "1+1?", "gold": "2", "response": "3"},
        {"question": "2+2?", "gold": "4", "response": "4"},
    ]
    made = found(jsonl(tmp_path / "a.jsonl", *rows))
    assert [(row["answer"], records.chat(row["prompt"])[0]["content"]) for row in made.problems] == [("2", "1+1?"), ("4", "2+2?")]
    assert [row["sample_index"] for row in made.completions] == [0, 1, 0]


def test_a_row_that_cannot_be_read_is_named_and_the_others_survive(tmp_path, problems):
    path = tmp_path / "a.jsonl"
    good = json.dumps({"task_id": "sums/1", "completion": "2", "passed": True})
    bad = [
        {"task_id": "sums/1", "passed": True},
        {"task_id": "nowhere", "completion": "x"},
        {"task_id": "sums/2", "completion": "4", "passed": "perhaps"},
    ]
    path.write_text("\n".join([good, "{broken", *map(json.dumps, bad), good.replace("sums/1", "sums/3")]))
    made = found(path, problems)
    assert len(made.completions) == 2
    assert [(fault.where, fault.field) for fault in made.faults] == [
        ("line 2", ""),
        ("line 3", "completion"),
        ("line 4", ""),
        ("line 5", "passed"),
    ]


def test_labels_of_another_number_than_samples_are_a_fault(tmp_path, problems):
    made = found(jsonl(tmp_path / "a.jsonl", {"id": "sums/1", "response": ["a", "b"], "score": [True]}), problems)
    assert made.completions == []
    assert made.faults[0].why == "has 1 entries for 2 completions"


def test_a_told_sample_index_is_kept_and_its_repetition_a_fault(tmp_path, problems):
    rows = [{"id": "sums/1", "text": text, "sample_index": index} for text, index in (("a", 5), ("b", 5), ("c", 6))]
    made = found(jsonl(tmp_path / "a.jsonl", *rows), problems)
    assert [(index, text) for _, _, index, text in texts(made)] == [(5, "a"), (6, "c")]
    assert made.faults[0].where == "line 2"


def test_finish_reasons_of_servers_become_ours(tmp_path, problems):
    reasons = ["stop", "length", "max_tokens", "error", None, "eos"]
    rows = [{"id": "sums/1", "text": str(n), "finish_reason": reason} for n, reason in enumerate(reasons)]
    made = found(jsonl(tmp_path / "a.jsonl", *rows), problems)
    assert [row["finish_reason"] for row in made.completions] == ["stop", "length", "length", "error", "stop", "stop"]


def test_end_of_text_markers_and_lone_surrogates_do_not_reach_the_tables(tmp_path, problems):
    rows = [
        {"id": "sums/1", "text": "so 2<|eot_id|><|endoftext|>"},
        {"id": "sums/1", "text": "\ud800 2"},
        {"id": "sums/1", "text": "<|a|> 2 </s> 3"},
    ]
    made = found(jsonl(tmp_path / "a.jsonl", *rows), problems)
    assert [row["text"] for row in made.completions] == ["so 2", "\ufffd 2", "<|a|> 2 </s> 3"]
    records.COMPLETIONS.table(made.completions)


def test_columns_can_be_given_by_name(tmp_path, problems):
    row = {"which": "sums/1", "reply": "2", "output": "not this", "fine": "yes"}
    made = found(jsonl(tmp_path / "a.jsonl", row), problems, text="reply", id="which", label="fine")
    assert texts(made)[0][-1] == "2"
    assert labels(made) == {"2": "correct"}


def test_a_file_without_completions_says_what_it_has(tmp_path):
    with pytest.raises(UserError, match=r"no column of completions \(have: labeler, rating\); name it: --column text=COLUMN"):
        found(jsonl(tmp_path / "a.jsonl", {"labeler": "x", "rating": 1}))
    with pytest.raises(UserError, match="no column 'reply' \\(have: text\\)"):
        found(jsonl(tmp_path / "b.jsonl", {"text": "x"}), text="reply")
    with pytest.raises(BadProblems, match="has no row that can be read"):
        found(jsonl(tmp_path / "c.jsonl", 5))


def test_a_float_that_is_no_truth_value_is_a_score_and_no_label(tmp_path, problems):
    rows = [{"id": "sums/1", "text": str(n), "score": score} for n, score in enumerate((1.0, 0.25, 0.0))]
    made = found(jsonl(tmp_path / "a.jsonl", *rows), problems)
    assert [(row["outcome"], row["score"]) for row in made.labels] == [(None, 1.0), (None, 0.25), (None, 0.0)]


def test_the_same_content_under_another_name_is_the_same(tmp_path, problems):
    rows = [{"id": "sums/1", "text": "2"}, {"text": 3}]
    one, other = (found(jsonl(tmp_path / name, *rows), problems) for name in ("a.jsonl", "b.jsonl"))
    assert (one.completions, one.faults) == (other.completions, other.faults)


def test_our_own_completions_keep_all_they_have(tmp_path):
    given_rows = [completion("c1", "p", completion_ids=[5, 6, 1]), completion("c2", "elsewhere")]
    tables.write(records.COMPLETIONS.table(given_rows), records.COMPLETIONS, tmp_path / "completions.parquet")
    tables.write(records.PROBLEMS.table([problem("p")]), records.PROBLEMS, tmp_path / "problems.parquet")
    for path in (tmp_path, tmp_path / "completions.parquet"):
        made = found(path)
        assert records.COMPLETIONS.table(made.completions) == records.COMPLETIONS.table(given_rows[:1])
        assert [fault.field for fault in made.faults] == ["problem_id"]


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["sums/1", "true", "1e999", "2"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "label", "id"]), inner, max_size=2),
    max_leaves=6,
)
_names = st.sampled_from(
    ["response", "text", "label", "score", "pred_score", "id", "idx", "prompt", "gold", "model", "sample", "finish_reason", "samples"]
)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.dictionaries(_names, _values, max_size=6), min_size=1, max_size=4))
def test_whatever_a_file_holds_it_is_read_or_refused(tmp_path_factory, rows):
    path = jsonl(tmp_path_factory.mktemp("any") / "a.jsonl", *rows)
    for given_problems in (None, records.PROBLEMS.table([problem("p", text="1+1?", source_id="sums/1")])):
        try:
            made = found(path, given_problems)
        except UserError:
            continue
        completions = records.COMPLETIONS.table(made.completions)
        assert len(set(completions["completion_id"].to_pylist())) == completions.num_rows
        tables.conform(records.VERDICTS.table(made.labels), records.VERDICTS)
        records.PROBLEMS.table(made.problems)


def test_a_record_of_another_edition_is_judged_by_the_tests_it_brings(tmp_path, problems):
    own = {"test": "def check(candidate): assert candidate(1) == 2", "entry_point": "twice"}
    rows = [
        {"id": "sums/1", "prompt": "def twice(n: int) -> int:", "solution": "return 2 * n", **own},
        {"id": "sums/2", "prompt": QUESTIONS[2]["prompt"], "solution": "4", **own},
    ]
    made = found(jsonl(tmp_path / "a.jsonl", *rows), problems)
    assert made.by_own_tests == 1
    assert [json.loads(row["tests"])["entry_point"] if row["tests"] else None for row in made.problems] == ["twice", None]
    assert [row["task"] for row in made.problems] == ["table", "table"]


def test_a_problem_without_an_id_in_its_set_takes_the_records(tmp_path):
    bare = Table(path=jsonl(tmp_path / "bare.jsonl", QUESTIONS[0])).every()
    made = found(jsonl(tmp_path / "a.jsonl", {"name": "zero", "prompt": QUESTIONS[0]["prompt"], "text": "0"}), bare)
    assert made.problems[0]["source_id"] == "zero"
