import hashlib

import pytest

from lib.filters.role_advantages import RoleAdvantages
from lib.protocols import Builder
from tests.filter_stage import completion, filtered, problem, verdict

WINNERS = {"e1": 0, "e2": 0, "e3": 1, "e4": 0}


def turns(episode, problem_id="p", count=3):
    return [completion(f"{episode}-{t}", problem_id, episode_id=episode, role=f"player{t % 2}", turn=t) for t in range(count)]


def scores(episode, winner, count=3):
    return [verdict(f"{episode}-{t}", None, "game_outcome", score=1.0 if t % 2 == winner else -1.0) for t in range(count)]


GAMES = [row for episode in WINNERS for row in turns(episode)]
SAID = [row for episode, winner in WINNERS.items() for row in scores(episode, winner)]


def order(seed=5):
    return sorted(WINNERS, key=lambda episode: hashlib.md5(f"{seed}:{episode}".encode()).hexdigest())


def advantages(result):
    owner = {row["example_id"]: row["completion_id"] for row in result.rows("example_sources")}
    return {owner[row["example_id"]]: row["advantage"] for row in result.rows("examples_group")}


def test_an_advantage_is_the_reward_less_the_players_running_mean_before_the_game(tmp_path):
    result = filtered(tmp_path, [RoleAdvantages()], GAMES, SAID, problems=[problem("p")])
    wanted, baseline = {}, {0: 0.0, 1: 0.0}
    for episode in order():
        for player in (0, 1):
            reward = 1.0 if WINNERS[episode] == player else -1.0
            wanted |= {f"{episode}-{t}": reward - baseline[player] for t in range(3) if t % 2 == player}
            baseline[player] = 0.95 * baseline[player] + 0.05 * reward
    assert advantages(result) == pytest.approx(wanted)
    assert max(abs(value) for value in wanted.values()) > 1
    rates = {row["pass_rate"] for row in result.rows("examples_group")}
    assert rates == {0.75, 0.25}


def test_a_baseline_can_be_a_games_own(tmp_path):
    games = [*turns("e1", "p"), *turns("e2", "q")]
    said = [*scores("e1", 0), *scores("e2", 0)]
    problems = [problem("p", category="one"), problem("q", category="other")]
    apart = advantages(filtered(tmp_path / "apart", [RoleAdvantages(per="game")], games, said, problems=problems))
    assert {abs(value) for value in apart.values()} == {1.0}
    together = advantages(filtered(tmp_path / "together", [RoleAdvantages()], games, said, problems=problems))
    assert sorted({round(abs(value), 9) for value in together.values()}) == [0.95, 1.0]


def test_turns_that_were_not_played_or_not_judged_fall(tmp_path):
    unplayed = completion("e1-3", episode_id="e1", role="player1", turn=3, finish_reason="error", completion_ids=[], logprobs=[])
    odd = [unplayed, completion("alone"), completion("bare", episode_id="e9", logprobs=[])]
    said = [*scores("e1", 0), verdict("alone", None, "game_outcome", score=1.0), verdict("bare", None, "game_outcome", score=1.0)]
    result = filtered(
        tmp_path, [RoleAdvantages()], [*turns("e1"), *odd, completion("open", episode_id="e8")], said, problems=[problem("p")]
    )
    assert result.dropped == {"e1-3": "error", "alone": "no game", "bare": "no log-probabilities", "open": "no verdict"}
    assert len(result.rows("examples_group")) == 3


def test_it_is_a_builder():
    assert isinstance(RoleAdvantages(), Builder)
