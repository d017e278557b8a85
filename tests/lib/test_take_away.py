import pytest

from lib.take_away import opening, replayed


@pytest.mark.parametrize(
    ("left", "replies", "played"),
    [
        (5, ["-1=4", "-3=1", "-1=0"], (3, 0, "player 0 takes the last")),
        (2, ["-2=0", "-1=1"], (1, 0, "player 0 takes the last")),
        (5, ["-1=4", "-4=0", "x"], (2, 0, "player 1 makes no legal move at 4")),
        (5, ["-1=3"], (1, 1, "player 0 makes no legal move at 5")),
        (5, ["-1=4", None], (2, None, "turn 2 was not sampled")),
        (9, ["-1=8", "-1=7"], (2, None, "7 are left")),
    ],
)
def test_a_game_is_won_by_the_last_move_or_an_illegal_reply(left, replies, played):
    assert replayed(left, replies) == played


def test_a_position_is_its_own_beginning_and_other_problems_have_one_by_their_id():
    assert opening("p", "#7:") == 7
    piles = {opening(str(name), "1,5,8>45:") for name in range(200)}
    assert piles == set(range(4, 22))
    assert opening("p", "1,5,8>45:") == opening("p", "2,2>4:")
