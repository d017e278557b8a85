"""Agent0 (Xia et al., "Agent0: Unleashing Self-Evolving Agents from Zero Data via Tool-Integrated Reasoning", 2025).

Two models begin alike and take turns. The proposer writes problems and is rewarded for those that the executor solves half the
time. The executor, with a calculator, learns from problems of the proposer that most of its answers agree on, but not all
(0.3 to 0.8); the majority is its only label, and advantages shrink where agreement is low (ADPO). Problems have four
numbers. Left out: clusters by BLEU, several turns of code. The paper's proposer reward and its code's differ: `form` chooses.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.born_problems import BornProblems
from lib.filters.difficulty_band import DifficultyBand
from lib.filters.group_advantages import GroupAdvantages
from lib.problems.countdown import Countdown
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.propose import Propose
from lib.samplers.with_tools import WithTools
from lib.tools.calculator import Calculator
from lib.trainers.policy_gradient import PolicyGradient
from lib.verifiers.majority import Majority
from lib.verifiers.proposal_reward import ProposalReward

PROPOSE = Stage(verb="sample", name="propose", run=(Propose(n=8, contexts=64, template=">:"),))
TAUGHT = Stage(verb="sample", name="propose", run=(Propose(model="phase:proposer", n=8, contexts=64, template=">:"),))
BORN = Stage(verb="filter", name="born", run=(BornProblems(numbers=4),))
ANSWER = Stage(verb="sample", name="answer", run=(WithTools(tools=(Calculator(),), n=8, max_new_tokens=36),))
VOTE = Stage(verb="verify", name="vote", run=(Majority(),), undecided_limit=0.5)
REWARD = ProposalReward(verifier="majority", repetition=1.0)
WORTH = Stage(verb="verify", name="worth", reads=("propose", "vote"), run=(REWARD,), undecided_limit=0.5)
PAID = Stage(verb="filter", run=(GroupAdvantages(kind="grpo", verifier="proposal_reward"),))
BAND = DifficultyBand(low=0.3, high=0.8, ends="kept")
AGREED = Stage(verb="filter", run=(BAND, GroupAdvantages(kind="grpo", adpo=True)))
LEARN = Stage(verb="train", run=(PolicyGradient(start_from="previous", learning_rate=5e-4, steps=25),))
LEARN_WIDER = Stage(verb="train", run=(PolicyGradient(start_from="previous", learning_rate=5e-4, steps=25, clip_widening=0.1),))

RECIPE = Recipe(
    phases=(
        Phase(name="proposer", role="proposer", stages=(PROPOSE, BORN, ANSWER, VOTE, WORTH, PAID, LEARN)),
        Phase(name="executor", stages=(TAUGHT, BORN, ANSWER, VOTE, AGREED, LEARN_WIDER)),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
    problems=Countdown(numbers=4),
    warm_start="warm_start_roles",
)
