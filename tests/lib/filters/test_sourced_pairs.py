import pytest

from lib.errors import UserError
from lib.filters.sourced_pairs import SourcedPairs
from tests.filter_stage import completion, filtered, verdict

PAIRS = SourcedPairs(chosen_from=("now", "future"), rejected_from=("past",), verifier="judge")
SOURCES = {"n": "now", "f": "future", "p": "past", "x": "other"}


def scored(**scores):
    """Completions n*, f*, p* and x* of the roles above, each with the judge's score; None leaves it undecided."""
    completions = [completion(name, role=SOURCES[name[0]]) for name in scores]
    verdicts = [verdict(name, "undecided" if s is None else None, "judge", score=s) for name, s in scores.items()]
    return completions, verdicts


def test_the_best_of_some_sources_meets_the_worst_of_others(tmp_path):
    result = filtered(tmp_path, [PAIRS], *scored(n1=0.6, n2=0.1, f1=0.8, p1=0.3, p2=0.2, x1=0.9))
    assert result.sources == {("f1", "chosen"), ("p2", "rejected")}
    (pair,) = result.rows("examples_pair")
    assert (pair["chosen_score"], pair["rejected_score"], pair["strategy"]) == (0.8, 0.2, "sourced")
    assert result.dropped == {"n1": "not chosen", "n2": "not chosen", "p1": "not chosen", "x1": "another source"}


def test_a_rejected_one_is_never_of_the_chosen_sources_however_bad(tmp_path):
    result = filtered(tmp_path, [PAIRS], *scored(n1=0.9, n2=0.0, p1=0.5))
    assert result.sources == {("n1", "chosen"), ("p1", "rejected")}


@pytest.mark.parametrize("best", [0.4, 0.5, 0.54])
def test_without_a_higher_score_by_the_margin_there_is_no_pair(tmp_path, best):
    narrow = SourcedPairs(chosen_from=("now",), rejected_from=("past",), verifier="judge", min_margin=0.05)
    result = filtered(tmp_path, [narrow], *scored(n1=best, p1=0.5))
    assert result.dropped == {"n1": "not chosen", "p1": "not chosen"}


def test_undecided_ones_are_on_no_side(tmp_path):
    result = filtered(tmp_path, [PAIRS], *scored(n1=0.4, n2=None, p1=None, p2=0.1))
    assert result.sources == {("n1", "chosen"), ("p2", "rejected")}
    assert result.dropped == {"n2": "undecided", "p1": "undecided"}


def test_one_side_alone_has_no_rival(tmp_path):
    result = filtered(tmp_path, [PAIRS], *scored(n1=0.4, f1=0.6))
    assert result.dropped == {"n1": "no rival", "f1": "no rival"}


def test_both_sides_answer_the_same_prompt(tmp_path):
    completions, verdicts = scored(n1=0.9, p1=0.1)
    completions[0]["prompt_ids"] = [1, 9]
    assert filtered(tmp_path, [PAIRS], completions, verdicts).dropped == {"n1": "no rival", "p1": "no rival"}


def test_outcomes_serve_where_no_scorer_is_named(tmp_path):
    plain = SourcedPairs(chosen_from=("now",), rejected_from=("past",))
    completions = [completion(name, role=SOURCES[name[0]]) for name in ("n1", "n2", "p1", "p2")]
    verdicts = [verdict("n1"), verdict("n2", "wrong"), verdict("p1"), verdict("p2", "wrong")]
    result = filtered(tmp_path, [plain], completions, verdicts)
    assert result.sources == {("n1", "chosen"), ("p2", "rejected")}


def test_a_source_on_both_sides_is_refused():
    with pytest.raises(UserError, match="'now' is both in chosen_from and in rejected_from"):
        SourcedPairs(chosen_from=("now", "past"), rejected_from=("now",))
