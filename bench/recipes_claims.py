"""What was published of the methods in lib/recipes, as questions that bench/recipes.py can put to its figures.

Every question is a sum of measured terms, each of one recipe, round and metric, that the claim says is more than a limit. A
sum over seeds and problems is paired by both (lib.paired); one of training figures has a value a seed. It holds if the whole 95 %
interval lies above the limit, does not hold if all of it lies below, and is unresolved otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

from lib.report.words import spoken

LAST = -1
"""The last round that all campaigns of a question reached."""
BASE = 0
MARGIN = 0.02
"""What may be lost and still be called no loss: the gate's own margin."""


@dataclass(frozen=True, slots=True)
class Term:
    """`weight` times a metric on the validation split, of the model that a recipe stands with after a round."""

    weight: int
    recipe: str
    metric: str
    round: int = LAST


@dataclass(frozen=True, slots=True)
class Trend:
    """`weight` times (last - first) / |first| of a figure that a stage says of itself, from the first round that has it to the last."""

    weight: int
    recipe: str
    figure: str
    stage: str = "main/train"


@dataclass(frozen=True, slots=True)
class Question:
    """Is the sum of the terms more than `above`?"""

    words: str
    terms: tuple[Term | Trend, ...]
    above: float = 0.0


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that a paper says, and the questions that decide whether it holds here."""

    title: str
    source: str
    questions: tuple[Question, ...]

    @property
    def recipes(self) -> list[str]:
        return list(dict.fromkeys(term.recipe for question in self.questions for term in question.terms))


def more(new: str, old: str, metric: str, above: float = 0.0) -> Question:
    """`new` has more of a metric than `old` in the last round; with a limit below zero, not less by more than that."""
    said = spoken(metric)
    words = f"{new} has more {said} than {old}" if above >= 0 else f"{new} has no less {said} than {old} (by {-above:g} at most)"
    return Question(words, (Term(1, new, metric), Term(-1, old, metric)), above)


def gain(recipe: str, metric: str) -> Question:
    """A recipe's last model has more of a metric than its base."""
    return Question(f"{recipe} gains {spoken(metric)} over its base", (Term(1, recipe, metric), Term(-1, recipe, metric, BASE)))


def no_gain(recipe: str, metric: str) -> Question:
    """A recipe's last model has not more of a metric than its base, by more than the margin."""
    terms = (Term(-1, recipe, metric), Term(1, recipe, metric, BASE))
    return Question(f"{recipe} does not gain {spoken(metric)} over its base (by {MARGIN:g} at most)", terms, -MARGIN)


def gains_more(recipe: str, metric: str, than: str) -> Question:
    """A recipe gains more of one metric over its base than of another."""
    terms = (Term(1, recipe, metric), Term(-1, recipe, metric, BASE), Term(-1, recipe, than), Term(1, recipe, than, BASE))
    return Question(f"{recipe} gains more {spoken(metric)} than {spoken(than)}", terms)


CLAIMS = (
    Claim(
        "Learning from verified completions beats learning from all, at equal numbers of examples too",
        "Zelikman et al. 2022 (STaR); Singh et al. 2023 (ReST-EM)",
        (more("expert_iteration", "no_filter", "pass_at_1"), more("expert_iteration", "no_filter_equal", "pass_at_1")),
    ),
    Claim(
        "Balancing exploration keeps variety longer than a fixed temperature",
        "Zeng et al. 2024 (B-STaR); here without its reward model, so that the score balances variety alone",
        (more("b_star", "rft_online", "distinct_correct"), more("b_star", "rft_online", "pass_at_8")),
    ),
    Claim(
        "Learning from negatives too at least matches rejection sampling, and keeps pass@8",
        "Chen et al. 2025 (NFT)",
        (more("nft", "nft_positives", "pass_at_1", -MARGIN), more("nft", "nft_positives", "pass_at_8", -MARGIN)),
    ),
    Claim(
        "Policy gradient lifts pass@1 more than pass@8",
        "Shao et al. 2024 (GRPO); Yue et al. 2025",
        (gains_more("grpo", "pass_at_1", "pass_at_8"), gains_more("online_grpo", "pass_at_1", "pass_at_8")),
    ),
    Claim(
        "The gap between chosen and rejected shrinks over the rounds of iterative DPO, and not with temporal decoupling",
        "Wang et al. 2025 (Temporal Self-Rewarding)",
        (
            Question("the scores of self_rewarding's pairs draw nearer", (Trend(-1, "self_rewarding", "score_gap", "main/filter"),)),
            Question(
                "the scores of temporal_self_rewarding's pairs do not draw nearer",
                (Trend(1, "temporal_self_rewarding", "score_gap", "main/filter"),),
                -0.1,
            ),
            Question("the margin that iterative_dpo's training reaches shrinks", (Trend(-1, "iterative_dpo", "margin_last"),)),
        ),
    ),
    Claim(
        "Reinforcement makes the second turn better than the first, and supervised learning of corrections does not",
        "Kumar et al. 2024 (SCoRe)",
        (
            Question("score's second turn improves on its first", (Term(1, "score", "delta_2"),)),
            gain("score", "delta_2"),
            more("score", "sft_corrections", "delta_2"),
            Question(
                f"sft_corrections' second turn does not improve on its first (by {MARGIN:g} at most)",
                (Term(-1, "sft_corrections", "delta_2"),),
                -MARGIN,
            ),
        ),
    ),
    Claim(
        "A bandit over pass rates beats a uniform curriculum", "Chen et al. 2025 (SEC)", (more("sec", "uniform_curriculum", "pass_at_1"),)
    ),
    Claim(
        "Sharpening lifts pass@1 without gold answers, and not pass@8",
        "Huang et al. 2024 (Self-improvement by sharpening)",
        (gain("sharpening_sft", "pass_at_1"), no_gain("sharpening_sft", "pass_at_8")),
    ),
    Claim(
        "Learning from partly correct solutions lifts pass@8",
        "Ni et al. 2022 (self-sampled partially correct solutions)",
        (more("self_sampled_partial", "self_sampled_whole", "pass_at_8"),),
    ),
    Claim(
        "Tree search, here by outcomes, finds more than best-of-n at equal model calls",
        "Zhang et al. 2024 (ReST-MCTS*)",
        (
            Question(
                "rest_mcts finds more by tree than by independent samples",
                (Term(1, "rest_mcts", "tree_found"), Term(-1, "rest_mcts", "independent_found")),
            ),
        ),
    ),
)

CONTROLS = ("warm_only",)
"""What is measured beside them: training on the warm start alone."""


def recipes() -> list[str]:
    """Every recipe that a claim names, and the controls."""
    return list(dict.fromkeys([*(recipe for claim in CLAIMS for recipe in claim.recipes), *CONTROLS]))


def metrics(recipe: str) -> set[str]:
    """The metrics that claims ask of a recipe, problem by problem."""
    return {
        t.metric for claim in CLAIMS for question in claim.questions for t in question.terms if isinstance(t, Term) and t.recipe == recipe
    }
