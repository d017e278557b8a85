"""KnowRL ("KnowRL: Teaching Language Models to Know What They Know", 2025): the reward is how far the model agrees with itself.

Each attempt is assessed eight times by the policy in its check role; the share of what most assessments say is the attempt's
reward, whatever they say, and no gold answer is read. The optimiser is open in the paper: RLOO here, `reinforce++` by
`--set phases.0.stages.3.run.0.kind=reinforce++`. Left out: tasks that the model makes up itself (attempts at given problems
stand for them), and tasks of high agreement as examples in later prompts.
"""

from lib.countdown_roles import FOREIGN
from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.group_advantages import GroupAdvantages
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.chain import Chain
from lib.samplers.independent import Independent
from lib.trainers.policy_gradient import PolicyGradient
from lib.verifiers.consensus import Consensus

ASSESS = Chain(n=8, template="{prompt}{attempt}#:", foreign=FOREIGN, max_new_tokens=4, written_as="check")

RECIPE = Recipe(
    phases=(
        Phase(
            stages=(
                Stage(verb="sample", run=(Independent(n=4),)),
                Stage(verb="sample", name="assess", run=(ASSESS,)),
                Stage(verb="verify", run=(Consensus(),)),
                Stage(verb="filter", run=(GroupAdvantages(kind="rloo", verifier="consensus"),)),
                Stage(verb="train", run=(PolicyGradient(start_from="previous", learning_rate=5e-4, steps=25),)),
            ),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
    warm_start="warm_start_roles",
)
