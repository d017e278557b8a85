import pytest

from lib import records
from lib.controllers.infinite_rate import InfiniteRate
from lib.deciding import Seen
from lib.errors import UserError
from lib.trainers.sft import Sft

RATE = InfiniteRate(highest=8e-4, constant=4e-4, lowest=1e-4, warmup_share=0.1, cooldown_rounds=2, anneal_rounds=1)


def settings(number, rounds, controller=RATE):
    found = controller.decide(Seen(records.PROBLEMS.empty(), round=number, rounds=rounds)).settings
    return {path.removeprefix("trainer."): value for path, value in found.items()}


def ends(number, rounds):
    """The rates after the warm-up and at the end of a round, as the trainer would have them."""
    found = settings(number, rounds)
    trainer = Sft(steps=100, **found)
    return trainer.learning_rate * trainer.share_at(int(100 * trainer.warmup_share), 100), trainer.learning_rate * trainer.share_at(99, 100)


@pytest.mark.parametrize(
    ("number", "begin", "end"),
    [(1, 8e-4, 6e-4), (2, 6e-4, 4e-4), (3, 4e-4, 4e-4), (4, 4e-4, 4e-4), (5, 4e-4, 1e-4), (6, 1e-4, 1e-4)],
)
def test_each_round_goes_on_where_the_last_one_ended(number: int, begin: float, end: float):
    assert ends(number, rounds=5) == pytest.approx((begin, end))


def test_only_the_first_round_warms_up():
    assert [settings(number, 5)["warmup_share"] for number in (1, 2, 5)] == [0.1, 0.0, 0.0]


def test_the_constant_rate_is_held_over_any_number_of_rounds():
    assert {settings(number, 100)["learning_rate"] for number in range(3, 100)} == {4e-4}


def test_rates_that_rise_are_refused():
    with pytest.raises(UserError, match="must fall"):
        InfiniteRate(highest=1e-4, constant=1e-3)
