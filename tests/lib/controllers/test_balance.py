import pytest

from lib import records
from lib.controllers.balance import Balance
from lib.deciding import Seen
from lib.errors import UserError
from lib.protocols import Tables
from tests.filter_stage import completion, problem, verdict

PRM = {"scorer": "prm", "threshold_setting": "filters.0.lowest"}


def probe(**answers):
    """Tables in which problem NAME has one completion a word: its text, then c, w or u, then a score after a colon."""
    completions, verdicts = [], []
    word = {"c": "correct", "w": "wrong", "u": "undecided"}
    for name, words in answers.items():
        for index, said in enumerate(words.split()):
            text, _, score = said.partition(":")
            row = f"{name}{index}"
            completions.append(completion(row, name, text=text[:-1], sample_index=index))
            verdicts.append(verdict(row, word[text[-1]]))
            if score:
                verdicts.append(verdict(row, None, "prm", score=float(score)))
    return Tables(
        records.PROBLEMS.table([problem(name) for name in answers]),
        records.COMPLETIONS.table(completions),
        records.VERDICTS.table(verdicts),
    )


def decided(controller, *probes):
    return controller.decide(Seen(records.PROBLEMS.empty(), probes))


def many(n, correct):
    return " ".join(f"t{i}{'c' if i < correct else 'w'}:1" for i in range(n))


def test_the_score_is_the_mean_over_problems_of_enough_times_precise():
    found = decided(Balance(temperatures=(0.5,), thresholds=(0.0,), **PRM), probe(a=many(16, 12), b=many(4, 4), c="x0w:-1"))
    assert found.state["balance_score"] == pytest.approx(0.4166667, abs=1e-6)  # (0.75 + 0.5 + 0) / 3


def test_the_highest_score_is_taken_and_the_first_of_equal_ones():
    low, high = probe(a="1c 1c 2w"), probe(a="1c 2c 3w")
    grid = Balance(temperatures=(0.5, 0.8, 1.1), n_star=2)
    assert decided(grid, low, high, high).settings == {"sampler.temperature": 0.8}
    assert decided(grid, low, high, high).state["score"] == {"0.5": 0.5, "0.8": 1.0, "1.1": 1.0}


def test_answers_count_once_and_undecided_ones_not_at_all():
    found = decided(Balance(temperatures=(1.0,), n_star=4), probe(a="1c 1c 2c 3u 4w"))
    assert found.state["balance_score"] == pytest.approx(2 / 4)


def test_a_threshold_is_chosen_with_the_temperature():
    controller = Balance(temperatures=(0.5, 1.0), thresholds=(0.0, 0.5), n_star=2, **PRM)
    found = decided(controller, probe(a="1c:0.9 2w:0.1"), probe(a="1c:0.9 2c:0.8 3w:0.1"))
    # at T = 1: without the wrong one min(2/2, 1) · 2/2; with it 2/3
    assert found.settings == {"sampler.temperature": 1.0, "filters.0.lowest": 0.5}
    assert found.state["score"] == pytest.approx({"0.5/0": 0.25, "0.5/0.5": 0.5, "1/0": 2 / 3, "1/0.5": 1.0})


def test_the_cap_keeps_the_first_answers():
    found = decided(Balance(temperatures=(1.0,), thresholds=(0.0,), cap=2, n_star=2, **PRM), probe(a="1c:1 2w:1 3c:1"))
    assert found.state["balance_score"] == pytest.approx(0.5 * 0.5)


def test_there_is_a_probe_for_each_temperature():
    probes = Balance(temperatures=(0.5, 1.0), n=64).probes
    assert probes == ({"sampler.temperature": 0.5, "sampler.n": 64}, {"sampler.temperature": 1.0, "sampler.n": 64})


def test_thresholds_without_a_scorer_are_refused():
    with pytest.raises(UserError, match="go together"):
        Balance(thresholds=(0.5,))
