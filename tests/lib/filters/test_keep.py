import pytest

from lib.errors import UnknownName, UserError
from lib.filters.keep import Keep
from tests.filter_stage import completion, filtered, problem, verdict

COMPLETIONS = [
    completion("low"),
    completion("mid", turn=1, parent_id="low"),
    completion("high", "q"),
    completion("open"),
    completion("bare"),
]
VERDICTS = [
    verdict("low", "wrong", score=0.2),
    verdict("mid", score=0.5),
    verdict("high", score=0.9),
    verdict("open", "undecided"),
    *(verdict(name, None, "scorer", score=score) for name, score in (("low", -7.0), ("bare", 3.0))),
]


def kept(folder, **settings):
    return filtered(
        folder, [Keep(**settings)], COMPLETIONS, VERDICTS, problems=[problem("p", category="sums"), problem("q", difficulty=0.5)]
    )


def test_a_band_of_scores_stays_with_its_ends(tmp_path):
    result = kept(tmp_path, min_score=0.5, max_score=0.5)
    assert result.kept == {"mid"}
    assert result.dropped == {"low": "score too low", "high": "score too high", "open": "undecided", "bare": "no verdict"}


def test_a_scorer_can_be_asked(tmp_path):
    result = kept(tmp_path, min_score=0, verifier="scorer")
    assert result.kept == {"bare"}
    assert result.dropped["low"] == "score too low"


@pytest.mark.parametrize(
    ("where", "stay"),
    [
        ("outcome = 'wrong'", {"low"}),
        ("turn > 0 AND outcome = 'correct'", {"mid"}),
        ("score > parent_score", {"mid"}),
        ("pass_rate < 1", {"low", "mid", "open", "bare"}),
        ("decided = 2 AND category = 'sums'", {"low", "mid", "open", "bare"}),
        ("difficulty >= 0.5 OR text LIKE '%bare'", {"high", "bare"}),
        ("outcome IN ('undecided', 'no verdict') AND n_tokens = 2", {"open", "bare"}),
        ("NULL", set()),
    ],
)
def test_a_predicate_over_the_stated_columns_decides(tmp_path, where, stay):
    result = kept(tmp_path, where=where)
    assert result.kept == stay
    assert set(result.dropped.values()) <= {"predicate"}


def test_a_band_is_named_before_a_predicate(tmp_path):
    result = kept(tmp_path, min_score=0.3, where="outcome = 'wrong'")
    assert result.dropped == {"low": "score too low", "mid": "predicate", "high": "predicate", "open": "undecided", "bare": "no verdict"}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("scor > 1", "columns are completion_id"),
        ("1 = 1) UNION SELECT ('a', true", "more than one expression|no expression"),
        ("true); DROP TABLE dropped; SELECT (1", "no expression of SQL"),
        ("true) ORDER BY (1", "more than one expression"),
        ("(SELECT count(*) FROM verdicts) > 1", "more than one expression"),
        ("score IN (SELECT 1.0)", "more than one expression"),
        ("score > $limit", "more than one expression"),
        ("random() < 0.5", "calls random"),
        ("score >", "no expression of SQL"),
        (" ", "no expression of SQL"),
        ("text::INTEGER > 1", "Could not convert"),
        ("score > 0.1 -- and more", "no expression of SQL"),
    ],
)
def test_anything_but_one_steady_expression_is_refused(tmp_path, where, message):
    with pytest.raises(UserError, match=message):
        kept(tmp_path, where=where)


def test_a_condition_is_needed_and_a_known_verifier():
    with pytest.raises(UserError, match="without a condition"):
        Keep()


def test_a_verifier_that_judged_nothing_is_an_error(tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'scorer'"):
        kept(tmp_path, min_score=1, verifier="scores")
