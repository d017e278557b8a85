"""The recipe of the fault campaign: every stage does its real work, in a second or less, and the model does get better.

What is asked for is brevity, which a model of random weights shows now and then and learns at once: so every filter keeps
something, and the gate promotes. The second phase trains on pairs of the first one's completions.
"""

from lib.evaluators.pass_at_k import PassAtK
from lib.filters.best_worst_pairs import BestWorstPairs
from lib.filters.dedup import Dedup
from lib.filters.keep_correct import KeepCorrect
from lib.gate import Gate
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.trainers.dpo import Dpo
from lib.trainers.sft import Sft
from lib.verifiers.length import Length

BRIEF = (Length(name="brief", unit="characters", least=1, most=8),)

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=4, max_new_tokens=16),
            verifiers=BRIEF,
            filters=(KeepCorrect(), Dedup()),
            trainer=Sft(start_from="previous", steps=12, batch_size=32, learning_rate=5e-3),
            accumulate="all",
        ),
        Phase(
            name="pairs",
            stages=(
                Stage(verb="filter", reads=("main/verify",), run=(BestWorstPairs(),)),
                Stage(verb="train", run=(Dpo(start_from="phase:main", reference="phase:main", steps=6, batch_size=16),)),
            ),
        ),
    ),
    evaluators=(PassAtK(k=(1,), sampler=Independent(n=2, max_new_tokens=16), verifiers=BRIEF),),
    gate=Gate(margin=0.1),
)
