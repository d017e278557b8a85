"""Verifiable instructions: verdicts, the two modes, and the authors' own labels."""

from __future__ import annotations

import json

import pytest

from lib import records, tables
from lib.problems.ifeval import Ifeval
from lib.protocols import Tables
from lib.verifiers.instructions import Instructions, followed, instructions_of


def completions(texts, finish="stop"):
    """One completion of problem `p0`, `p1`, … for each text."""
    empty = {"prompt_ids": [], "completion_ids": [1, 2], "logprobs": [], "turn": 0, "step": 0, "temperature": 1.0, "top_p": 1.0, "seed": 0}
    fixed = {"role": "policy", "model_id": "m", "ids_source": "engine", "finish_reason": finish, "sample_index": 0, **empty}
    rows = [
        {"completion_id": f"c{n:04}", "problem_id": f"p{n}", "group_id": f"g{n}", "text": text, **fixed} for n, text in enumerate(texts)
    ]
    return records.COMPLETIONS.table(rows)


def judged(text, tests, mode="strict", finish="stop"):
    row = {"problem_id": "p0", "task": "ifeval", "prompt": records.user_message("?"), "source": "given", "born_round": 0, "tests": tests}
    both = Tables(records.PROBLEMS.table([row]), completions([text], finish))
    made = tables.conform(Instructions(mode=mode).verify(both, {}), records.VERDICTS)
    assert made.num_rows == Instructions(mode=mode).owes(both) == 1
    return made.to_pylist()[0]


def listed(*pairs):
    return json.dumps([{"id": name, "kwargs": kwargs} for name, kwargs in pairs])


def test_the_score_is_the_share_followed_and_the_reason_names_the_rest():
    tests = listed(
        ("punctuation:no_comma", {}), ("startend:quotation", {}), ("detectable_format:title", {}), ("detectable_format:title", {})
    )
    verdict = judged("plain, <<title>>", tests)
    assert verdict["outcome"] == "wrong"
    assert verdict["score"] == 0.5
    assert verdict["reason"] == "not followed: 1 punctuation:no_comma, 2 startend:quotation"
    assert verdict["verifier"] == "instructions_strict"
    assert judged('"<<title>>"', tests)["score"] == 1.0


@pytest.mark.parametrize(
    "text", ["Sure, here:\n*plain* text", "plain text\nI hope, this helps", "Sure, here:\nplain text\nBye, then", "\nplain text\n"]
)
def test_loose_forgives_a_preface_an_ending_and_asterisks(text):
    tests = listed(("punctuation:no_comma", {}), ("startend:end_checker", {"end_phrase": "plain text"}))
    assert judged(text, tests, "loose")["outcome"] == "correct"


def test_loose_still_wants_every_instruction_followed():
    tests = listed(("punctuation:no_comma", {}), ("detectable_format:title", {}))
    assert judged("a, b\nc, d\ne, f\n<<title>>", tests, "loose")["score"] == 0.5


@pytest.mark.parametrize(
    ("tests", "why"),
    [
        (None, "no instructions"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "no list of objects"),
        (listed(("keywords:rhyme", {})), "unknown instruction 'keywords:rhyme'"),
        (listed(("punctuation:no_comma", {"num": 1})), "argument 'num'"),
        (listed(("length_constraints:number_words", {"relation": "at most", "num_words": 3})), "argument 'relation'"),
        (listed(("length_constraints:number_words", {"relation": "at least"})), "argument 'num_words'"),
        (listed(("length_constraints:number_words", {"relation": "at least", "num_words": -1})), "argument 'num_words'"),
        (listed(("keywords:existence", {"keywords": []})), "argument 'keywords'"),
        (listed(("keywords:existence", ["cat"])), "not an object"),
    ],
)
def test_instructions_that_cannot_be_read_are_undecided(tests, why):
    verdict = judged("text", tests)
    assert verdict["outcome"] == "undecided"
    assert why in verdict["reason"]
    assert verdict["score"] is None


def test_what_was_not_sampled_is_undecided_and_what_is_too_long_is_wrong():
    tests = listed(("punctuation:no_comma", {}))
    assert judged("", tests, finish="error")["outcome"] == "undecided"
    assert judged("a" * 1_000_000, tests)["reason"] == "longer than 200000 characters"


UNREPEATABLE = {
    # the labels' checker puts a random letter in the place of a sign
    ("qwen2.5-3b", "1122", "keywords:letter_frequency"),
    ("qwen2.5-3b", "1129", "keywords:letter_frequency"),
    # the labels were made while this prompt asked for one placeholder; now it asks for three
    ("qwen2.5-3b", "2785", "detectable_content:number_placeholders"),
    ("claude-3-haiku", "2785", "detectable_content:number_placeholders"),
    # the labels' checker guesses the language of capitals, or of a single word, with unseeded draws; with these 2785 weighs out 3456
    ("qwen2.5-3b", "3150", "change_case:english_lowercase"),
    ("qwen2.5-3b", "3424", "change_case:english_capital"),
    ("claude-3-haiku", "3456", "change_case:english_capital"),
}


@pytest.fixture(scope="module")
def recorded(data):
    """Model → rows of (key, instructions, labels by mode, our outcomes by mode)."""
    problems = {row["source_id"]: row["tests"] for row in Ifeval(path=str(data / "ifeval/input_data.jsonl")).every().to_pylist()}
    found = {}
    for model in ("qwen2.5-3b", "claude-3-haiku"):
        lines = (data / f"ifeval/{model}.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [json.loads(line) for line in lines]
        wanted = [instructions_of(problems[str(row["key"])]) for row in rows]
        found[model] = [
            (str(row["key"]), one, {mode: (row[mode], followed(row["response"], one, mode)) for mode in ("strict", "loose")})
            for row, one in zip(rows, wanted, strict=True)
        ]
    return found


@pytest.mark.parametrize(
    ("model", "counts"),
    # The labels say 595 for the loose instructions of qwen2.5-3b. A rule without random draws can say 566 and 595 only by a further
    # error: 1129 and 3150 are labelled loose but not strict and 3424 the other way round, where no line or asterisk makes a difference.
    [("qwen2.5-3b", (310, 566, 332, 594)), ("claude-3-haiku", (371, 645, 425, 711))],
)
def test_the_recorded_counts_come_out(recorded, model, counts):
    strict, loose = ([outcomes[mode][1] for _, _, outcomes in recorded[model]] for mode in ("strict", "loose"))
    assert len(strict) == 541
    assert (sum(map(all, strict)), sum(map(sum, strict)), sum(map(all, loose)), sum(map(sum, loose))) == counts


def test_every_label_is_matched_but_those_that_came_by_chance(recorded):
    different = {
        (model, key, one.id)
        for model, rows in recorded.items()
        for key, wanted, outcomes in rows
        for labels, ours in outcomes.values()
        for one, label, mine in zip(wanted, labels, ours, strict=True)
        if label != mine
    }
    assert different == UNREPEATABLE
