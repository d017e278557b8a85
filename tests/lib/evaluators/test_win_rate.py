import math

import pytest

from lib.evaluators.win_rate import WinRate
from lib.verifiers.judge import Judge
from lib.verifiers.length import Length
from tests.evaluated import figures, given, items, values
from tests.filter_stage import completion, verdict

JUDGED = WinRate(scorer=Judge(name="s", form="pairwise", model="base"))
SCORED = WinRate(scorer=Length(name="s"))


def meeting(duels=(), scores=(), lengths=None):
    """Problem → one completion of mine (mNAME) and one of the rival (iNAME)."""
    names = [*dict(duels or scores)]
    lengths = lengths or dict.fromkeys(names, (5, 5))
    mine = [completion(f"m{name}", name, text="x" * lengths[name][0]) for name in names]
    its = [completion(f"i{name}", name, text="y" * lengths[name][1]) for name in names]
    verdicts = []
    for name, (forth, back) in dict(duels).items():
        verdicts += [verdict(f"m{name}", None, "s", rival_id=f"i{name}", score=forth)]
        verdicts += [verdict(f"i{name}", None, "s", rival_id=f"m{name}", score=back)]
    for name, (own, other) in dict(scores).items():
        verdicts += [verdict(f"m{name}", None, "s", score=own), verdict(f"i{name}", None, "s", score=other)]
    return given(mine, verdicts, rivals=its)


def test_a_taste_for_one_place_cancels_out():
    assert values(JUDGED, meeting({"a": (0.7, 0.5)}))["win_rate"] == pytest.approx(0.6)
    assert values(JUDGED, meeting({"a": (0.5, 0.7)}))["win_rate"] == pytest.approx(0.4)


def test_by_score_a_draw_is_half_a_win():
    tables = meeting(scores={"a": (2, 1), "b": (1, 1), "c": (0, 1)})
    assert items(SCORED, tables, "win_rate") == {"a": 1.0, "b": 0.5, "c": 0.0}


def test_what_could_not_be_compared_is_left_out():
    tables = meeting({"a": (0.9, 0.1), "b": (None, 0.4)})
    assert items(JUDGED, tables, "win_rate") == {"a": pytest.approx(0.9)}


def test_a_model_against_itself_has_one_half():
    rows = [completion("a0", "a"), completion("b0", "b")]
    found = figures(JUDGED, given(rows, []))
    assert [(found[m]["value"], found[m]["stderr"]) for m in ("win_rate", "lc_win_rate")] == [(0.5, 0.0), (0.5, 0.0)]


def test_at_equal_lengths_a_win_that_length_explains_is_none():
    # longer by 10 wins 3 of 4, shorter by 10 wins 1 of 4: log-odds ln 3 and -ln 3, so 0 in the middle
    won = dict(zip("abcdefgh", [1, 1, 1, 0, 1, 0, 0, 0], strict=True))
    lengths = {name: (20, 10) if name in "abcd" else (10, 20) for name in won}
    found = values(SCORED, meeting(scores={name: (w, 0.5) for name, w in won.items()}, lengths=lengths))
    assert found["win_rate"] == 0.5
    assert found["lc_win_rate"] == pytest.approx(0.5)


def test_the_fit_is_that_of_two_groups_and_so_is_its_error():
    # longer by 10 wins 3 of 4, longer by 30 wins 1 of 2: line through (10, ln 3) and (30, 0), so 1.5 ln 3 at 0
    won = dict(zip("abcdef", [1, 1, 1, 0, 1, 0], strict=True))
    lengths = {name: (20, 10) if name in "abcd" else (40, 10) for name in won}
    found = figures(SCORED, meeting(scores={name: (w, 0.5) for name, w in won.items()}, lengths=lengths))["lc_win_rate"]
    centre = 1 / (1 + math.exp(-1.5 * math.log(3)))
    assert found["value"] == pytest.approx(centre)
    # b = 1.5 f(10) - 0.5 f(30), each group's log-odds with robust variance Σ residual² / (n p (1 - p))²
    first, second = (3 * 0.0625 + 0.5625) / 0.75**2, (2 * 0.25) / 0.5**2
    variance = (1.5**2 * first + 0.5**2 * second) * 6 / 5
    assert found["stderr"] == pytest.approx(centre * (1 - centre) * variance**0.5)


def test_one_side_that_always_wins_has_no_finite_fit():
    tables = meeting(scores={"a": (1, 0), "b": (1, 0)}, lengths={"a": (9, 1), "b": (2, 1)})
    assert values(SCORED, tables) == {"win_rate": 1.0}
    follows = meeting(scores={"a": (1, 0), "b": (0, 1)}, lengths={"a": (9, 1), "b": (1, 9)})
    assert "lc_win_rate" not in values(SCORED, follows)
