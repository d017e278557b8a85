"""ReST-MCTS* (Zhang et al., "ReST-MCTS*: LLM Self-Training via Process Reward Guided Tree Search", 2024).

A value model of partial answers guides a tree search; the policy learns the right solutions found, and the value model the values
inferred from the same tree. The first value model learns shares of right continuations, from a tree searched by outcomes.
Left out: rollouts greedy by value (a draw's own continuation is one) and the critique of finished steps. Added: widening.
Evaluators search by outcomes: with another value model in every round, rounds could not be compared.
"""

from lib.engines.classifier import Classifier
from lib.evaluators.found import Found
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.cap_per_problem import CapPerProblem
from lib.filters.dedup import Dedup
from lib.filters.keep_correct import KeepCorrect
from lib.filters.tree_steps import TreeSteps
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.samplers.tree import Tree
from lib.trainers.sft import Sft
from lib.trainers.step_value import StepValue
from lib.verifiers.countdown import Countdown
from lib.verifiers.process import Process

BY_OUTCOME = Tree(simulations=4, branch=4, value=Countdown(), separator=";", widening=0.5)
VALUE = Process(role="value", model="latest", separator=";", ending="<eos>", aggregate="last")
BY_VALUE = Tree(
    simulations=4, branch=4, value=VALUE, value_of="step", separator=";", exploration=0.7, log_factor=2, backup="rest_mcts", widening=0.5
)

RECIPE = Recipe(
    phases=(
        Phase(
            name="first_value",
            role="value",
            first_round_only=True,
            stages=(
                Stage(verb="sample", run=(BY_OUTCOME,)),
                Stage(verb="verify"),
                Stage(verb="filter", run=(TreeSteps(kind="soft", separator=";"),)),
                Stage(verb="train", run=(StepValue(start_from="base", start_role="policy", loss="mse", steps=400, learning_rate=1e-3),)),
            ),
        ),
        Phase(
            name="search",
            sampler=BY_VALUE,
            filters=(KeepCorrect(), Dedup(), CapPerProblem(n=4)),
            trainer=Sft(start_from="previous", replay=("base",), steps=700, learning_rate=1.5e-3),
        ),
        Phase(
            name="value",
            role="value",
            stages=(
                Stage(verb="filter", reads=("search/verify",), run=(TreeSteps(separator=";"),)),
                Stage(verb="train", run=(StepValue(start_from="latest", loss="mse", steps=400, learning_rate=1e-3),)),
            ),
        ),
    ),
    evaluators=(PassAtK(), Found(name="tree", sampler=BY_OUTCOME), Found(name="independent", sampler=Independent(n=16))),
    engines={"value": Classifier()},
)
