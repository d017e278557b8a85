"""Sharpening by fine-tuning (Huang et al., "Self-Improvement in Language Models: The Sharpening Mechanism", 2024), without any answers.

The model writes sixteen answers to a problem and learns, of those that came to their end, the one that it finds likeliest, by
the sum of its tokens' log-probabilities: what it would find with more search becomes what it says at once. Left out:
the paper's stopping rule, and sampling from the base model in every round (`--set trainer.start_from=base` restarts the
training alone).
"""

from lib.evaluators.greedy_accuracy import GreedyAccuracy
from lib.evaluators.pass_at_k import PassAtK
from lib.filters.drop_truncated import DropTruncated
from lib.filters.top import Top
from lib.recipe import Phase, Recipe
from lib.samplers.independent import Independent
from lib.trainers.sft import Sft
from lib.verifiers.likelihood import Likelihood

RECIPE = Recipe(
    phases=(
        Phase(
            sampler=Independent(n=16, temperature=1.0),
            verifiers=(Likelihood(measure="sum"),),
            filters=(DropTruncated(), Top(n=1, verifier="likelihood")),
            trainer=Sft(start_from="previous", steps=200, learning_rate=5e-4),
        ),
    ),
    evaluators=(PassAtK(k=(1, 8)), GreedyAccuracy()),
)
