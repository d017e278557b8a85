"""Self-sampled solutions, whole and partial (Ni et al., "Learning Math Reasoning from Self-Sampled Correct and …", 2023).

What the model solves is learned whole; of what it got wrong, the longest beginning that can still lead to the target is learned
as far as it goes, unless another solution of the round begins with it. The solutions of a problem are learned together, by the
marginal likelihood of any of them, over all rounds so far. A partial solution is right where an exact search over the numbers
left finds a way, not by the states of known solutions. Left out: the worked solution beside them (the warm start has it),
sampling within the training, taking a beginning out again when a later round goes on from it.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.dedup import Dedup
from lib.filters.keep_correct import KeepCorrect
from lib.filters.longest_prefix import LongestPrefix
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.samplers.prefixes import Prefixes
from lib.trainers.marginal_likelihood import MarginalLikelihood
from lib.verifiers.reaches import Reaches

TRAINER = MarginalLikelihood(start_from="previous", beta=0.25, batch_size=32, steps=400, learning_rate=1e-3)

RECIPE = Recipe(
    phases=(
        Phase(
            stages=(
                Stage(verb="sample", run=(Independent(n=8, temperature=1.0),)),
                Stage(verb="verify"),
                Stage(verb="sample", name="prefixes", run=(Prefixes(),)),
                Stage(verb="verify", name="verify_prefixes", run=(Reaches(),)),
                Stage(verb="filter", reads=("verify", "verify_prefixes"), run=(KeepCorrect(), LongestPrefix(), Dedup())),
                Stage(verb="train", run=(TRAINER,), accumulate="all"),
            ),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
