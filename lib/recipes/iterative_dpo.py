"""Iterative DPO (Rafailov et al. 2023; in rounds as in Yuan et al. 2024): the best against the worst of each problem.

Each round pairs a verified completion with a refuted one of the same problem, both sampled by the previous model, which is
also the reference. A term of plain likelihood on the chosen side (as in Pang et al. 2024) keeps it from sinking with the
rejected one.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.best_worst_pairs import BestWorstPairs
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.dpo import Dpo

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=8, temperature=1.0),
            filters=(BestWorstPairs(),),
            trainer=Dpo(start_from="previous", reference="previous", beta=0.1, nll_weight=1.0, learning_rate=5e-5, steps=200),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
