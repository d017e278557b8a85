"""A control: `nft` without its negatives, which leaves rejection sampling with the same weights, batches and steps (RFT).

What `nft` gains beyond it comes from wrong answers. Chen et al. 2025 make their own RFT baseline so, by the one setting.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.group_advantages import GroupAdvantages
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.nft import Nft

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=8, temperature=1.0),
            filters=(GroupAdvantages(kind="dr_grpo"),),
            trainer=Nft(start_from="previous", learning_rate=5e-4, batch_size=512, steps=25, neg_weight=0.0),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
