"""NFT (Chen et al., "Bridging Supervised Learning and Reinforcement Learning in Math Reasoning", 2025): wrong answers teach too.

Right answers are learned by their likelihood, and of wrong ones the implicit model of what is right without them; a problem counts
more the seldomer it is solved, and those that are always or never solved are left out. Log-probabilities are those kept at
sampling. Left out: sampling anew within a round, as the paper's online form does.
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
            trainer=Nft(start_from="previous", learning_rate=5e-4, batch_size=512, steps=25),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
