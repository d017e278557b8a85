from lib.filters.win_pairs import WinPairs
from tests.filter_stage import completion, filtered, verdict

ROWS = [completion(name, name[0]) for name in ("p1", "p2", "p3", "q1", "q2", "r1")]
RATES = {"p1": 0.7, "p2": 0.4, "p3": 0.3, "q1": 0.5, "q2": 0.5, "r1": 0.5}


def test_the_likeliest_winner_stands_against_the_likeliest_loser_with_both_chances(tmp_path):
    said = [verdict(name, None, "win_rates", score=rate) for name, rate in RATES.items()]
    result = filtered(tmp_path, [WinPairs()], ROWS, said)
    (pair,) = result.rows("examples_pair")
    assert (pair["chosen_win"], pair["rejected_win"], pair["strategy"]) == (0.7, 0.3, "win_rates")
    assert result.sources == {("p1", "chosen"), ("p3", "rejected")}
    assert result.dropped == {"p2": "not chosen", "q1": "not chosen", "q2": "not chosen", "r1": "no rival"}
