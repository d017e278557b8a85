import json
import time

import pyarrow as pa
import pytest

from lib import records, tables
from lib.errors import UserError
from lib.protocols import Tables
from lib.verifiers.code import Code
from tests.sandboxing import needs_walls

pytestmark = needs_walls

PROMPT = 'from math import floor\nfrom typing import List\n\n\ndef half(xs: List[int]) -> List[int]:\n    """ Halve each. """\n'
TEST = "\nMETADATA = {'author': 'me'}\n\n\ndef check(candidate):\n    assert candidate([4, 7]) == [2, 3]\n    assert candidate([]) == []\n"
HUMANEVAL = json.dumps({"prompt": PROMPT, "test": TEST, "entry_point": "half"})
MBPP = json.dumps(
    {"test_list": ["assert half([4, 7]) == [2, 3]", "assert half([]) == []"], "test_setup_code": "", "entry_points": ["half"]}
)
CASES = json.dumps([{"stdin": "4 7\n", "stdout": "2 3\n"}, {"stdin": "\n", "stdout": ""}])
WHOLE = "def half(xs):\n    return [x // 2 for x in xs]\n"
READS = "print(*[int(x) // 2 for x in input().split()])\n"


def judged(text, tests, finish_reason="stop", code=None):
    return (code or Code()).judge([(text, tests, finish_reason)])[0]


@pytest.mark.parametrize(
    ("text", "tests"),
    [
        ("    return [x // 2 for x in xs]\n", HUMANEVAL),
        ("    return [floor(x / 2) for x in xs]\n\nThat halves each of them.", HUMANEVAL),
        (PROMPT + "    return [x // 2 for x in xs]", HUMANEVAL),
        ("def half(xs: Optional[List[int]]) -> List[int]:\n    return [floor(x / 2) for x in xs]", HUMANEVAL),
        (f"Sure!\n```python\n{WHOLE}```\nAn example:\n```python\nprint(half([2]))\n```\n", HUMANEVAL),
        (f"```\n{WHOLE}```", MBPP),
        (WHOLE, MBPP),
        (f"<think>def half(xs): return 1</think>\n{WHOLE}", MBPP),
        (f"```python\n{READS}```", CASES),
        ("import sys\nfor line in sys.stdin:\n    print(*[int(x) // 2 for x in line.split()], end='  \\n\\n')", CASES),
    ],
)
def test_a_right_program_is_correct_however_it_is_written(text, tests):
    assert judged(text, tests)[:2] == ("correct", "passed")


@pytest.mark.parametrize(
    ("text", "tests", "reason"),
    [
        ("    return xs", HUMANEVAL, "failed: AssertionError: assert candidate([4, 7]) == [2, 3]"),
        ("    return [x / 0 for x in xs]", HUMANEVAL, "failed: ZeroDivisionError: division by zero"),
        ("    return [", HUMANEVAL, "failed: SyntaxError: '[' was never closed (<solution>, line 7)"),
        ("I cannot do that.", MBPP, "failed: SyntaxError: invalid syntax (<solution>, line 1)"),
        ("def third(xs): return xs", MBPP, "failed: NameError: the program defines no 'half'"),
        (" \n", MBPP, "no code"),
        ("```python\n```", MBPP, "no code"),
        ("x" * 100_001, MBPP, "longer than 100000 characters"),
        ("def half(xs):\n    while True: pass", MBPP, "time limit"),
        ("def half(xs):\n    return [0] * 10**10", MBPP, "out of memory"),
        ("print(4)", CASES, "case 1 of 2: failed: line 1 is '4', not '2 3'"),
        ("print(*[int(x) // 2 for x in input().split()] or '?')", CASES, "case 2 of 2: failed: line 1 is '?', not ''"),
        ("print('2 3')\nprint(1 / 0)", CASES, "case 1 of 2: failed: ZeroDivisionError: division by zero"),
        ("print('2 3\\n' * 2)", CASES, "case 1 of 2: failed: line 2 is '2 3', not missing"),
    ],
)
def test_a_wrong_program_is_wrong_and_says_why(text, tests, reason):
    assert judged(text, tests, code=Code(cpu_seconds=1, wall_seconds=4))[:2] == ("wrong", reason)


@pytest.mark.parametrize(
    ("tests", "reason"),
    [
        (None, "no tests"),
        ("{", "unreadable tests: not JSON"),
        ("[]", "unreadable tests: neither"),
        ('{"test": 1, "entry_point": "f"}', "unreadable tests: 'test' is not text"),
        ('{"test_list": ["assert ("]}', "unreadable tests: SyntaxError"),
    ],
)
def test_what_is_not_the_programs_fault_is_undecided(tests, reason):
    judgement = judged(WHOLE, tests)
    assert judgement.outcome == "undecided"
    assert judgement.reason.startswith(reason)


def test_a_completion_that_was_not_sampled_is_undecided_and_one_cut_off_says_so():
    assert judged("", MBPP, "error")[:2] == ("undecided", "not sampled")
    assert judged("def half(xs):\n    return [", MBPP, "length")[:2] == ("wrong", "cut off by the length limit")
    assert judged(WHOLE, MBPP, "length").outcome == "correct"


def test_a_check_is_called_unless_the_tests_call_it():
    for more, outcome in (("", "wrong"), ("\ncheck(half)\n", "wrong"), ("\nprint('ready')\n", "wrong")):
        tests = json.dumps({"test": TEST + more, "entry_point": "half"})
        assert judged("def half(xs): return xs", tests).outcome == outcome
    counting = "calls = []\ndef check(f):\n    calls.append(f(1))\n    assert len(calls) == 1\ncheck(half)\n"
    assert judged("def half(x): return x", json.dumps({"test": counting, "entry_point": "half"})).outcome == "correct"


def test_what_follows_the_tests_time_limit_is_served(tmp_path):
    code = Code(cpu_seconds=1, wall_seconds=4)
    asked = [("def half(xs):\n    while True: pass", MBPP, "stop"), (WHOLE, MBPP, "stop")] * 2
    assert [judgement.outcome for judgement in code.judge(asked)] == ["wrong", "correct"] * 2


def completions(texts):
    blank = {"prompt_ids": [], "group_id": "g", "turn": 0, "step": 0, "role": "policy", "model_id": "m", "ids_source": "engine", "seed": 0}
    more = {"logprobs": [], "finish_reason": "stop", "temperature": 1.0, "top_p": 1.0, "completion_ids": [1, 2], "problem_id": "p"}
    rows = [{**blank, **more, "text": text, "completion_id": f"c{n}", "sample_index": n} for n, text in enumerate(texts)]
    return records.COMPLETIONS.table(rows)


def test_a_table_gets_one_verdict_a_completion_and_equal_ones_are_run_once():
    row = {"problem_id": "p", "task": "code", "prompt": records.user_message("?"), "source": "given", "born_round": 0, "tests": MBPP}
    slow = WHOLE + "import time\ntime.sleep(0.5)\n"
    given = Tables(records.PROBLEMS.table([row]), completions([slow] * 8 + ["?"]))
    begun = time.monotonic()
    made = tables.conform(Code().verify(given, {}), records.VERDICTS)
    assert time.monotonic() - begun < 4
    assert made["outcome"].to_pylist() == ["correct"] * 8 + ["wrong"]
    assert made["score"].to_pylist() == [1.0] * 8 + [0.0]
    assert made["completion_id"].to_pylist() == [f"c{n}" for n in range(9)]
    assert made.num_rows == Code().owes(given)
    assert pa.types.is_string(made["reason"].type)


def test_without_walls_nothing_is_run_unless_the_weaker_mode_is_named(monkeypatch, tmp_path):
    from lib import bubblewrap

    monkeypatch.setenv("PATH", str(tmp_path))
    bubblewrap.walls.cache_clear()
    bubblewrap.check.cache_clear()
    with pytest.raises(UserError, match="no 'bwrap' on this machine; install bubblewrap"):
        judged(WHOLE, MBPP)
    assert judged(WHOLE, MBPP, code=Code(sandbox="limits_only")).outcome == "correct"


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def agreement(path, limit=None):
    """Which rows of a recorded file pass, and which of them are labelled solved."""
    given = rows(path)[:limit]
    tests = [json.dumps({name: row[name] for name in ("prompt", "test", "entry_point")}) for row in given]
    made = Code().judge([(row["solution"], wanted, "stop") for row, wanted in zip(given, tests, strict=True)])
    assert all(judgement.outcome != "undecided" for judgement in made)
    names = [row.get("name") or row["task_id"] for row in given]
    passed = {name for name, judgement in zip(names, made, strict=True) if judgement.outcome == "correct"}
    return passed, {name for name, row in zip(names, given, strict=True) if row["is_solved"]}


def test_the_authors_examples_come_out_as_documented(data):
    problem = rows(data / "humaneval" / "example_problem.jsonl")[0]
    texts = [row["completion"] for row in rows(data / "humaneval" / "example_samples.jsonl") if row["task_id"] == problem["task_id"]]
    tests = json.dumps({name: problem[name] for name in ("prompt", "test", "entry_point")})
    made = Code(wall_seconds=3).judge([(text, tests, "stop") for text in texts])
    assert [judgement.outcome for judgement in made] == ["wrong"] * 3 + ["correct"] * 3  # pass@1 is one half


@pytest.mark.slow
def test_humaneval_labels_are_met_one_by_one(data):
    passed, labelled = agreement(data / "reflexion_code" / "humaneval_gpt35_simple.jsonl")
    assert len(passed) == 42
    assert passed == labelled


@pytest.mark.slow
def test_mbpp_labels_are_met_but_for_six_that_pass(data):
    passed, labelled = agreement(data / "reflexion_code" / "mbpp_gpt4_simple.jsonl")
    assert (len(passed), len(labelled), labelled - passed) == (324, 318, set())
    assert {int(name.split("_")[1]) for name in passed - labelled} == {67, 170, 798, 724, 419, 598}
