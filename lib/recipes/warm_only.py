"""A control: as many training steps as expert iteration, on the base model's own warm-start data and nothing else.

What it gains comes from training longer; what expert iteration gains beyond it comes from the loop. It has no gate, since
a control is followed wherever it goes.
"""

from lib.evaluators.by_difficulty import ByDifficulty
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.recipe import Phase, Recipe
from lib.trainers.sft import Sft

RECIPE = Recipe(
    phases=(Phase(trainer=Sft(start_from="previous", replay=("base",), steps=700, learning_rate=1.5e-3)),),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy(), ByDifficulty()),
    gate=None,
)
