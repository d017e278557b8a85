"""SPPO (Wu et al., "Self-Play Preference Optimization for Language Model Alignment", 2024): move each answer by how often it wins.

Of the answers to a problem the likeliest winner stands against the likeliest loser, and the log-ratio of each to the previous
model, which is the reference, is moved towards its chance to win against the whole group. Where the paper asks a preference
model for that chance, a checker's verdict gives it here. Answers are short, so η is 4, where the authors' scripts take 1000.
Left out: prompts split over the rounds.
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.win_pairs import WinPairs
from lib.recipe import Phase, Recipe, Stage
from lib.samplers.independent import Independent
from lib.trainers.sppo import Sppo
from lib.verifiers.likelihood import Likelihood
from lib.verifiers.win_rates import WinRates

RECIPE = Recipe(
    phases=(
        Phase(
            stages=(
                Stage(verb="sample", run=(Independent(n=5, temperature=1.0),)),
                Stage(verb="verify", run=(WinRates(), Likelihood(model="previous"))),
                Stage(verb="filter", run=(WinPairs(),)),
                Stage(verb="train", run=(Sppo(start_from="previous", eta=4.0, learning_rate=5e-5, steps=200),)),
            ),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
