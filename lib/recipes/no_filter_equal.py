"""A control: expert iteration with as many different examples of each problem as its filter would keep, drawn whatever they are.

Against it, what expert iteration gains comes from which completions it keeps; against no_filter it could come from how few.
It has no gate, since a control is followed wherever it goes.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.dedup import Dedup
from lib.filters.random_share import RandomShare
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=8, temperature=1.0),
            filters=(Dedup(), RandomShare(most=4)),
            trainer=Sft(start_from="previous", replay=("base",), steps=700, learning_rate=1.5e-3),
            accumulate="all",
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
    gate=None,
)
