import json

from lib import records
from lib.problems.self_instruct import SelfInstruct

TASKS = [
    {"id": "t0", "instruction": "Name a fruit.", "instances": [{"input": "", "output": "apple"}], "is_classification": False},
    {
        "id": "t1",
        "instruction": "Is it a fruit?",
        "instances": [{"input": "leek", "output": "no"}, {"input": "plum", "output": "yes"}],
        "is_classification": True,
    },
    {"id": "t2", "instruction": "Nothing follows.", "instances": [], "is_classification": False},
    {"id": "t3", "instruction": "No answer.", "instances": [{"input": "x", "output": ""}], "is_classification": False},
    {"id": "t4", "instruction": "Flat.", "instances": "x", "is_classification": False},
]


def test_a_task_becomes_a_problem_with_its_first_instance(tmp_path):
    (tmp_path / "seed_tasks.jsonl").write_text("\n".join(map(json.dumps, TASKS)))
    source = SelfInstruct(path=str(tmp_path))
    first, second = source.every().to_pylist()
    assert [records.chat(row["prompt"])[0]["content"] for row in (first, second)] == ["Name a fruit.", "Is it a fruit?\n\nleek"]
    assert [row["answer"] for row in (first, second)] == ["apple", "no"]
    assert [row["category"] for row in (first, second)] == ["generation", "classification"]
    assert [row["source_id"] for row in (first, second)] == ["t0", "t1"]
    assert [(fault.where, fault.field) for fault in source.pool().faults] == [
        ("seed_tasks.jsonl line 3", "instances"),
        ("seed_tasks.jsonl line 4", "output"),
        ("seed_tasks.jsonl line 5", "instances"),
    ]


def test_the_public_seeds_are_175_distinct_problems(data):
    source = SelfInstruct(path=str(data / "self_instruct"))
    problems = source.every()
    assert problems.num_rows == 175 and source.pool().faults == () and source.pool().duplicates == ()
    assert len(set(problems["problem_id"].to_pylist())) == 175
    raw = [json.loads(line) for line in (data / "self_instruct" / "seed_tasks.jsonl").read_text().splitlines()]
    assert problems["answer"].to_pylist() == [row["instances"][0]["output"] for row in raw]
