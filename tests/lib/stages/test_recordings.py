import json

import pytest

from lib import records, tables
from lib.errors import BadProblems
from lib.files import read_json
from lib.problems.table import Table
from lib.protocols import Machine, Work
from lib.recordings.recordings import Recordings
from lib.stages import recordings as stage


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def read(folder, completions, problems=None):
    folder.mkdir()
    settings = {"recordings": Recordings(path=completions).model_dump(mode="json"), "source": problems and problems.model_dump(mode="json")}
    stats = stage.run(Work(settings, {}, {}, 0, Machine()), folder)
    shards = sorted(folder.glob("shard-*"))
    return stats, [{spec.name: tables.read(shard / f"{spec.name}.parquet", spec) for spec in SPECS} for shard in shards]


SPECS = (records.PROBLEMS, records.COMPLETIONS, records.VERDICTS)


def test_every_completion_lies_in_one_shard_with_its_problem_and_label(tmp_path):
    rows = [{"question": f"{n}?", "gold": "1", "response": ["1", "2", "3"], "correct": [True, False, False]} for n in range(400)]
    stats, shards = read(tmp_path / "out", jsonl(tmp_path / "a.jsonl", rows))
    assert stats == {"completions": 1200, "problems": 400, "faults": 0}
    assert len(shards) > 1
    assert sum(shard["completions"].num_rows for shard in shards) == 1200
    for shard in shards:
        assert set(shard["completions"]["problem_id"].to_pylist()) == set(shard["problems"]["problem_id"].to_pylist())
        assert shard["verdicts"]["completion_id"].to_pylist() == shard["completions"]["completion_id"].to_pylist()


def test_problems_without_a_completion_stay_out(tmp_path):
    problems = Table(path=jsonl(tmp_path / "p.jsonl", [{"prompt": f"{n}?", "answer": "1"} for n in range(5)]))
    stats, shards = read(tmp_path / "out", jsonl(tmp_path / "a.jsonl", [{"prompt": "3?", "text": "1"}]), problems)
    assert stats["problems"] == sum(shard["problems"].num_rows for shard in shards) == 1


def test_what_was_left_out_is_noted_by_line_and_field(tmp_path):
    rows = [{"prompt": "1?", "gold": "1", "text": "1"}, {"prompt": "1?", "gold": "1", "text": 5}]
    read(tmp_path / "out", jsonl(tmp_path / "a.jsonl", rows))
    assert read_json(tmp_path / "out" / stage.NOTES)["faults"] == [["line 2", "text", "is int, not text"]]


def test_a_file_of_another_set_is_an_error_that_names_its_first_row(tmp_path):
    problems = Table(path=jsonl(tmp_path / "p.jsonl", [{"prompt": "1?", "answer": "1"}]))
    with pytest.raises(BadProblems, match="no completion of a known problem; the first: line 1: answers no problem of the set"):
        read(tmp_path / "out", jsonl(tmp_path / "a.jsonl", [{"prompt": "2?", "text": "1"}]), problems)
