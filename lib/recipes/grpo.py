"""GRPO (Shao et al., "DeepSeekMath", 2024), offline: one large batch of groups a round, several clipped steps over it.

The advantage of a completion is its reward within the group of its problem; groups that all succeed or all fail teach
nothing and are dropped. Importance ratios use the log-probabilities kept at sampling. `--set filters.0.kind=dr_grpo` or
`rloo` changes the advantage.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.group_advantages import GroupAdvantages
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.policy_gradient import PolicyGradient

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=8, temperature=1.0),
            filters=(GroupAdvantages(kind="grpo"),),
            trainer=PolicyGradient(start_from="previous", learning_rate=5e-4, batch_size=512, steps=25),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
