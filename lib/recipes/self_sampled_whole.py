"""A control: `self_sampled_partial` without partial solutions, so that only what was solved is learned, by the same objective.

What `self_sampled_partial` gains beyond it comes from the beginnings of wrong answers.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.dedup import Dedup
from lib.filters.keep_correct import KeepCorrect
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.marginal_likelihood import MarginalLikelihood

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=8, temperature=1.0),
            filters=(KeepCorrect(), Dedup()),
            trainer=MarginalLikelihood(start_from="previous", beta=0.25, batch_size=32, steps=400, learning_rate=1e-3),
            accumulate="all",
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
