"""Verdicts on model outputs and test cases that others wrote and labelled."""

import json
from collections import Counter

from lib.verifiers.answer import Answer
from lib.verifiers.final_answer import last_number, marked, normalised

MODELS = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")


def lines(path):
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def is_right(judgements):
    return [judgement.outcome == "correct" for judgement in judgements]


def test_gsm8k_solutions_get_the_verdicts_of_their_authors(data):
    rows = lines(data / "gsm8k" / "example_model_solutions.shared.jsonl")
    found, labels = [], []
    for model in MODELS:
        found += is_right(Answer().judge([(row[model]["solution"], row["ground_truth"], "stop") for row in rows]))
        labels += [row[model]["is_correct"] for row in rows]
    assert len(labels) == 2640
    assert found == labels
    assert [sum(found[i : i + 660]) for i in range(0, 2640, 660)] == [146, 266, 225, 371]


def test_every_gold_answer_of_gsm8k_is_right_by_itself(data):
    for name, count in (("train", 7473), ("test", 1319)):
        golds = [row["answer"] for row in lines(data / "gsm8k" / f"{name}.jsonl")]
        finals = [gold.rpartition("####")[2] for gold in golds]
        assert is_right(Answer().judge(list(zip(golds, finals, ["stop"] * count, strict=True)))) == [True] * count
        assert [Answer().judge([(gold, "0.5", "stop")])[0].outcome for gold in golds[:5]] == ["wrong"] * 5


def test_qwen_samples_of_math_get_all_labels_but_the_wrong_one(data):
    rows = lines(data / "qwen_math_rm100" / "math_cot_100.jsonl")
    judgements = Answer().judge([(text, row["gt"], "stop") for row in rows for text in row["code"]])
    found = is_right(judgements)
    labels = [label for row in rows for label in row["score"]]
    assert [(i // 8, i % 8) for i in range(800) if found[i] != labels[i]] == [(72, 7)]
    assert judgements[72 * 8 + 7].reason == "'10000' is the answer"
    assert Counter(judgement.outcome for judgement in judgements) == {"correct": 729, "wrong": 71}


def test_figures_of_the_qwen_samples(data):
    rows = lines(data / "qwen_math_rm100" / "math_cot_100.jsonl")
    found = is_right(Answer().judge([(text, row["gt"], "stop") for row in rows for text in row["code"]]))
    groups = [found[i : i + 8] for i in range(0, 800, 8)]
    assert round(sum(found) / 800, 2) == 0.91
    assert [i for i, row in enumerate(rows) if any(groups[i]) != any(row["score"])] == [72]  # the wrong label
    assert sum(any(row["score"]) for row in rows) == 96
    majority = 0
    for row, group in zip(rows, groups, strict=True):
        spans = [normalised((marked(text) or last_number(text)).text) for text in row["code"]]
        most = Counter(spans).most_common(1)[0][0]
        majority += group[spans.index(most)]
    assert majority == 93


def test_math_verify_s_own_cases_pass_with_their_own_settings(data):
    cases = lines(data / "math_verify_tests" / "cases.shared.jsonl")
    assert len(cases) == 190
    wrong = []
    for case in cases:
        config = dict(case["config"])
        targets, precision = tuple(config.pop("match_types")), config.pop("precision", 6)
        verifier = Answer(reader="math_verify", targets=targets, float_rounding=precision, **config)
        outcome = verifier.judge([(case["prediction"], case["gold"], "stop")])[0].outcome
        if outcome != ("correct" if case["expected"] else "wrong"):
            wrong.append((case["id"], outcome))
    assert wrong == []


def test_conventions_of_math_differ_in_the_order_of_lists_alone(data):
    cases = lines(data / "hendrycks_equiv_tests" / "cases.jsonl")
    judgements = Answer().compare([(case["gold"], case["prediction"]) for case in cases])
    differ = [case["test"] for case, found in zip(cases, is_right(judgements), strict=True) if found != case["expected"]]
    assert len(cases) == 16
    assert differ == ["test_order", "test_decimals"]
