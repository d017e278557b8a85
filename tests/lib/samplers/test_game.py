from pathlib import Path

from lib import records, tables
from lib.engines.scripted import Scripted
from lib.protocols import Machine, Sampler, Tables
from lib.samplers.game import Game
from lib.samplers.independent import Independent
from lib.verifiers.game_outcome import GameOutcome
from tests.filter_stage import problem

PROBLEMS = records.PROBLEMS.table([problem("p", "#5:"), problem("q", "#2:")])


def player(model_id, *answers, otherwise="x"):
    return Scripted(answers=answers, otherwise=otherwise).open(Path(), model_id, Machine())


GOOD = player("m", ("#5:", ("-1=4",)), ("#2:", ("-2=0",)), ("#1:", ("-1=0",)), ("#3:", ("-3=0",)))
OTHER = player("o", ("#4:", ("-1=3", "-3=1")))


def rows(sampler, engines):
    made = sampler.sample(Tables(PROBLEMS), engines, 0, lambda done, total: None)
    assert made.num_rows == sampler.owes(Tables(PROBLEMS))
    return tables.conform(made, records.COMPLETIONS).to_pylist()


def game(made, problem_id, index=0):
    return sorted((row for row in made if row["problem_id"] == problem_id and row["sample_index"] == index), key=lambda row: row["turn"])


def test_turns_alternate_and_follow_each_other_until_the_end():
    made = rows(Game(n=2, turns=4, opponent=Independent(role="other")), {"policy": GOOD, "other": OTHER})
    first = game(made, "p")
    assert [row["role"] for row in first] == ["player0", "player1", "player0", "player1"]
    assert [row["model_id"] for row in first[:3]] == ["m", "o", "m"]
    assert first[0]["text"] == "-1=4"
    assert first[1]["text"] in ("-1=3", "-3=1")
    assert first[2]["text"] == {"-1=3": "-3=0", "-3=1": "-1=0"}[first[1]["text"]]
    assert [row["parent_id"] for row in first] == [None, *(row["completion_id"] for row in first[:3])]
    assert len({row["episode_id"] for row in first}) == 1
    assert len({row["episode_id"] for row in made}) == 4
    assert len({row["completion_id"] for row in made}) == 16


def test_turns_after_the_end_are_errors_without_tokens():
    made = rows(Game(n=1, turns=4), {"policy": GOOD})
    short = game(made, "q")
    assert [(row["finish_reason"], row["text"]) for row in short] == [("stop", "-2=0")] + [("error", "")] * 3
    long = game(made, "p")
    assert [row["text"] for row in long] == ["-1=4", "x", "", ""]  # an illegal reply ends the game


def test_games_depend_neither_on_other_problems_nor_on_n():
    engines = {"policy": player("m", ("#5:", ("-1=4", "-2=3", "-3=2")), otherwise="x")}
    many = rows(Game(n=4, turns=3), engines)
    few = Game(n=2, turns=3).sample(Tables(PROBLEMS.slice(0, 1)), engines, 0, lambda done, total: None).to_pylist()
    known = {row["completion_id"]: row for row in many}
    assert [known[row["completion_id"]] for row in few] == [
        tables.conform(records.COMPLETIONS.table([r]), records.COMPLETIONS).to_pylist()[0] for r in few
    ]
    assert len({row["text"] for row in many if row["turn"] == 0 and row["problem_id"] == "p"}) > 1


def test_every_turn_that_was_played_has_the_score_of_its_player():
    made = Game(n=1, turns=4).sample(Tables(PROBLEMS), {"policy": GOOD}, 0, lambda done, total: None)
    over = Tables(PROBLEMS, made)
    verdicts = GameOutcome().verify(over, {})
    assert verdicts.num_rows == GameOutcome().owes(over) == 3
    turns = {row["completion_id"]: (row["problem_id"], row["turn"]) for row in made.to_pylist()}
    scores = {turns[row["completion_id"]]: (row["score"], row["outcome"]) for row in verdicts.to_pylist()}
    assert scores == {("p", 0): (1.0, None), ("p", 1): (-1.0, None), ("q", 0): (1.0, None)}


def test_a_game_with_a_turn_that_was_not_sampled_is_undecided_and_a_long_one_has_no_winner():
    made = Game(n=1, turns=2).sample(
        Tables(PROBLEMS), {"policy": player("m", ("#5:", ("-1=4",)), ("#4:", ("-1=3",)))}, 0, lambda d, t: None
    )
    drawn = [row for row in GameOutcome().verify(Tables(PROBLEMS, made), {}).to_pylist() if row["score"] == 0]
    assert [row["reason"] for row in drawn] == ["3 are left"] * 2
    rows_made = made.to_pylist()
    for row in rows_made:
        if row["problem_id"] == "p" and row["turn"] == 1:
            row |= {"finish_reason": "error", "completion_ids": [], "logprobs": [], "text": ""}
    over = Tables(PROBLEMS, records.COMPLETIONS.table(rows_made))
    undecided = [row for row in GameOutcome().verify(over, {}).to_pylist() if row["outcome"] == "undecided"]
    assert len(undecided) == 2
    assert GameOutcome().owes(over) == 3


def test_it_is_a_sampler():
    assert isinstance(Game(), Sampler)
