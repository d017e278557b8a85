"""SEC (Chen et al., "Self-Evolving Curriculum for LLM Reasoning", 2025): a bandit draws the categories that teach most.

The phase is that of `grpo`, on 1000 of the round's problems: their arms are the last operation of the worked solution, and
what an arm is paid is the mean |advantage| of its completions in the round before. `--set controllers.0.arm=` takes the
problems' own categories. Left out: a payment at every training step (here one a round).
"""

from lib.controllers.bandit import Bandit
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.group_advantages import GroupAdvantages
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.policy_gradient import PolicyGradient

RECIPE = Recipe(
    phases=(
        Phase(
            controllers=(Bandit(count=1000, arm=r"([-+*/])\d+=\d+$"),),
            sampler=Independent(n=8, temperature=1.0),
            filters=(GroupAdvantages(kind="grpo"),),
            trainer=PolicyGradient(start_from="previous", learning_rate=5e-4, batch_size=512, steps=25),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
