"""A control for curricula: `sec` with its arms drawn evenly, whatever they were paid.

A temperature so high makes every arm as likely as any other. What `sec` gains beyond it comes from what the bandit knows.
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
            controllers=(Bandit(count=1000, arm=r"([-+*/])\d+=\d+$", temperature=1e6),),
            sampler=Independent(n=8, temperature=1.0),
            filters=(GroupAdvantages(kind="grpo"),),
            trainer=PolicyGradient(start_from="previous", learning_rate=5e-4, batch_size=512, steps=25),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
