import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from lib.errors import Unproven
from lib.filters import decontaminate
from lib.filters.decontaminate import Decontaminate
from lib.problems.countdown import Countdown
from tests.filter_stage import completion, filtered, problem

LONG = "a train leaves the station at noon and travels north at sixty miles per hour until evening comes"
WORDS = LONG.split()


def run(folder, problems, held_out, **settings):
    completions = [completion(f"c-{p['problem_id']}", p["problem_id"]) for p in problems]
    return filtered(folder, [Decontaminate(**settings)], completions, problems=problems, held_out=held_out)


def dropped(folder, problems, held_out, **settings):
    return {name.removeprefix("c-"): reason for name, reason in run(folder, problems, held_out, **settings).dropped.items()}


def test_the_same_id_or_the_same_text_is_held_out(tmp_path):
    problems = [
        problem("id", "x"),
        problem("text", " 1,2 > 3:\n"),
        problem("spaced", "1,2>3"),
        problem("near", "1,2>4:"),
        problem("empty", ""),
    ]
    held_out = [problem("id", "y"), problem("h", "1,2 > 3:"), problem("no text", "")]
    assert dropped(tmp_path, problems, held_out) == dict.fromkeys(("id", "text", "spaced"), "held out: same problem")


def test_marks_and_digits_of_short_prompts_count(tmp_path):
    problems = [problem(str(i), text) for i, text in enumerate(("2-3", "23", "2 3", "-2+3", "5!", "(2+3)"))]
    assert dropped(tmp_path, problems, [problem("h", "2+3"), problem("i", "5")]) == {}


def test_case_unicode_form_and_invisible_characters_do_not_hide_a_problem(tmp_path):
    hidden = [
        problem("composed", "What is a CAFE\u0301?"),
        problem("joined", "what\0is a\u200b caf\u00e9"),
        problem("wide", "what\u00a0is a caf\u00e9?"),
    ]
    assert set(dropped(tmp_path, hidden, [problem("h", "What is a caf\u00e9?")])) == {"composed", "joined", "wide"}


def test_a_shared_run_of_eight_or_thirteen_words_is_held_out(tmp_path):
    problems = [
        problem("13", "Once, " + " ".join(WORDS[2:15]).upper() + "!"),
        problem("12", " ".join(WORDS[2:14]) + " it stops"),
        problem("8", "it said: " + ", ".join(WORDS[5:13]) + "; no more"),
        problem("7", "it said: " + " ".join(WORDS[5:12]) + " no more"),
    ]
    found = {"13": "held out: 13-gram", "12": "held out: 8-gram", "8": "held out: 8-gram"}
    result = run(tmp_path, problems, [problem("h", LONG), problem("other", "something else")])
    assert {name.removeprefix("c-"): reason for name, reason in result.dropped.items()} == found
    assert {name: result.stats[f"held_out_met/{name}"] for name in ("same problem", "13-gram", "8-gram")} == {
        "same problem": 0,
        "13-gram": 1,
        "8-gram": 1,
    }
    assert dropped(tmp_path / "12", problems, [problem("h", LONG)], runs=(12,)) == dict.fromkeys(("12", "13"), "held out: 12-gram")


def test_problems_made_from_one_sentence_go_through_and_copies_of_them_do_not(tmp_path):
    names = ("Anna", "Ben", "Cleo", "Dan", "Eve", "Finn", "Gus")

    def text(i):
        who = ("he", "she", "the child")[i % 3]
        counts = f"{names[i % 7]} has {i * 37 % 97} apples and buys {i * 53 % 89} more in week {i}."
        return f"{counts} How many apples does {who} have now?"

    held_out = [problem(f"h{i}", text(i)) for i in range(150)]
    problems = [problem(f"p{i}", text(i)) for i in range(150, 400)] + [
        problem("copy", text(7)),
        problem("near", text(8).replace("now", "then")),
    ]
    assert dropped(tmp_path, problems, held_out) == {"copy": "held out: same problem", "near": "held out: 8-gram"}


def test_instructions_shared_by_many_held_out_problems_are_no_match(tmp_path):
    held_out = [problem(f"h{i}", f"{LONG} number {i}") for i in range(11)] + [problem(f"other {i}", f"filler {i}") for i in range(20)]
    asked = problem("p", f"{LONG} how far")
    assert dropped(tmp_path, [asked], held_out) == {}
    assert dropped(tmp_path / "few", [asked], held_out[1:]) == {"p": "held out: 13-gram"}


@pytest.mark.parametrize("n", [3, 12])
def test_an_instruction_before_every_problem_hides_no_copy_and_condemns_no_stranger(tmp_path, n):
    held_out = [problem(f"h{i}", f"{LONG}. Zed{i} likes {' '.join(f'w{i}x{j}' for j in range(9))}") for i in range(n)]
    given = [
        problem("stranger", f"{LONG}. Zed1 likes nothing at all"),
        problem("copy", held_out[1]["prompt"][0]["parts"][0]["text"].upper()),
        problem("near", "Now: zed2 likes " + " ".join(f"w2x{j}" for j in range(9))),
    ]
    result = run(tmp_path, given, held_out)
    assert result.dropped == {"c-copy": "held out: same problem", "c-near": "held out: 8-gram"}
    assert result.stats["planted_found"] == 2 * n < result.stats["planted"] == 3 * n  # 13 words are never without the instruction


def test_only_what_the_user_says_is_compared(tmp_path):
    def with_system(name, text):
        system = {"role": "system", "parts": [{"type": "text", "text": LONG, "sha256": None}]}
        return problem(name, text) | {"prompt": [system, *problem(name, text)["prompt"]]}

    asked, held_out = with_system("p", "2+2?"), with_system("h", "3+3?")
    assert dropped(tmp_path, [asked], [held_out]) == {}
    assert dropped(tmp_path / "same", [asked], [problem("h", "2+2?")]) == {"p": "held out: same problem"}


def test_pictures_are_compared_by_their_digest(tmp_path):
    def picture(name, digest):
        return problem(name) | {"prompt": [{"role": "user", "parts": [{"type": "image", "text": None, "sha256": digest}]}]}

    assert dropped(tmp_path, [picture("a", "11"), picture("b", "22")], [picture("h", "11")]) == {"a": "held out: same problem"}


def test_nothing_held_out_drops_nothing(tmp_path):
    result = run(tmp_path, [problem("p")], [])
    assert (result.dropped, "planted" in result.stats) == ({}, False)


def test_a_completion_whose_problem_was_not_given_cannot_be_compared(tmp_path):
    result = filtered(tmp_path, [Decontaminate()], [completion("a")], held_out=[problem("h", LONG)])
    assert result.dropped == {"a": "unknown problem"}


def test_planted_copies_are_found_and_leave_no_trace(tmp_path):
    result = run(tmp_path, [problem("p", "9+9")], [problem("long", LONG), problem("short", "2+2")])
    assert (result.stats["planted"], result.stats["planted_found"], result.stats["held_out"]) == (4, 4, 2)
    assert (result.kept, result.dropped) == ({"c-p"}, {})
    assert not any(result.stats[f"held_out_met/{reason}"] for reason in ("same problem", "13-gram", "8-gram"))


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("_READ", "md5(text)", "md5(text || problem_id)"),
        ("_READ", "plain(asked)", "asked"),
        ("_READ", "words(asked)", "[asked]"),
        ("_READ", "hash(word)", "hash(word || problem_id)"),
        ("_COMMON", "count(*) >= 3", "count(*) >= 1"),
    ],
)
def test_a_guard_that_misses_what_was_planted_stops_loudly(tmp_path, monkeypatch, name, good, bad):
    broken = getattr(decontaminate, name).replace(good, bad)
    assert broken != getattr(decontaminate, name)
    monkeypatch.setattr(decontaminate, name, broken)
    with pytest.raises(Unproven, match="missed the planted"):
        run(tmp_path, [problem("p", "9+9")], [problem("h", LONG)])


def test_held_out_problems_without_a_text_cannot_be_guarded(tmp_path):
    with pytest.raises(Unproven, match="no user text in any held-out problem"):
        run(tmp_path, [problem("p", "9+9")], [problem("h", " ")])


texts = some.lists(
    some.sampled_from(
        ["the", "sum", "of", "x", "Y", "1,000", "\u00c9t\u00e9", "\u0130", "\u4e2d", "\U000323b0", "-", "\x0b", "\0", "\u2003"]
    ),
    max_size=30,
).map(" ".join)


@given(held=some.lists(some.one_of(texts, some.text(max_size=40)), max_size=14), asked=texts)
@settings(max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
def test_no_text_makes_the_proof_fail(tmp_path_factory, held, asked):
    held_out = [problem(f"h{i}", text.encode("utf-8", "ignore").decode()) for i, text in enumerate(["2+2", *held])]
    result = run(tmp_path_factory.mktemp("any"), [problem("p", asked)], held_out, runs=(5, 3))
    assert result.stats["kept"] + len(result.dropped) == 1


def test_the_order_of_the_rows_does_not_matter(tmp_path):
    problems = [problem(str(i), f"{' '.join(WORDS[i : i + 9])} {i}") for i in range(8)]
    held_out = [problem("h", LONG), *(problem(f"h{i}", f"{i}+{i}") for i in range(40))]
    completions = [completion(f"c-{p['problem_id']}", p["problem_id"]) for p in problems]
    one, other = (
        filtered(tmp_path / str(parts), [Decontaminate()], rows, problems=problems[::step], held_out=held_out[::step], parts=parts)
        for parts, step, rows in ((1, 1, completions), (3, -1, completions[::-1]))
    )
    assert (one.dropped, one.stats) == (other.dropped, other.stats)
    assert len(one.dropped) == 8


def test_the_built_in_problems_lose_nothing(tmp_path):
    held_out = [row for split in ("validation", "gate", "test") for row in Countdown().problems(split, 400, seed=1).to_pylist()]
    result = run(tmp_path, Countdown().problems("train", 500, seed=1).to_pylist(), held_out)
    assert (result.dropped, result.stats["planted"], result.stats["planted_found"]) == ({}, 32, 32)


def questions(data, name):
    lines = (data / "gsm8k" / name).read_text(encoding="utf-8").splitlines()
    return [problem(f"{name}:{i}", json.loads(line)["question"]) for i, line in enumerate(lines)]


def met(result):
    return [result.stats[f"held_out_met/{reason}"] for reason in ("same problem", "13-gram", "8-gram")]


def test_gsm8k_train_meets_77_test_questions(tmp_path, data):
    result = run(tmp_path, questions(data, "train.jsonl"), questions(data, "test.jsonl"))
    assert met(result) == [0, 3, 77]
    assert result.stats["dropped"] == {"held out: 13-gram": 4, "held out: 8-gram": 86}
    assert (result.stats["planted"], result.stats["planted_found"]) == (96, 96)


def test_gsm8k_test_questions_with_other_solutions_are_all_rejected(tmp_path, data):
    result = run(tmp_path, questions(data, "test_socratic.jsonl"), questions(data, "test.jsonl"))
    assert result.stats["dropped"] == {"held out: same problem": 1319}
    assert met(result) == [1319, 1319, 1319]
