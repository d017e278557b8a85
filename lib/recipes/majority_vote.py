"""Self-consistency as a teacher (Huang et al., "Large Language Models Can Self-Improve", 2022): learn what most samples say.

Of sixteen answers to a problem the commonest is taken for right and learned, if at least three of them agree; no gold answer is
read. In Countdown the vote is on whole solutions, since nearly every solution ends with the target that it was asked for.
Left out: chains of thought in several formats and few-shot prompts. With `--set verifiers.0.by=answer` final answers vote.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.dedup import Dedup
from lib.filters.keep import Keep
from lib.filters.keep_correct import KeepCorrect
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft
from lib.verifiers.majority import Majority

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=16, temperature=1.0),
            verifiers=(Majority(by="text"),),
            filters=(KeepCorrect(), Keep(min_score=3 / 16), Dedup()),
            trainer=Sft(start_from="previous", replay=("base",), steps=700, learning_rate=1.5e-3),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
