"""A control: expert iteration with its filter taken out, so that the model learns from whatever it wrote.

It has no gate, since a control is followed wherever it goes.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=8, temperature=1.0),
            trainer=Sft(start_from="previous", replay=("base",), steps=700, learning_rate=1.5e-3),
            accumulate="all",
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
    gate=None,
)
