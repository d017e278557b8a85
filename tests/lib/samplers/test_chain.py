from pathlib import Path

import pytest

from lib import records, seeds, tables
from lib.engines.scripted import Scripted
from lib.errors import UserError
from lib.protocols import Machine, Sampler, Tables
from lib.samplers.chain import TEMPLATES, Chain
from lib.samplers.independent import Independent
from lib.verifiers.countdown import Countdown
from tests.filter_stage import completion, problem, verdict

PROBLEMS = records.PROBLEMS.table(
    [problem("p", "1,5,8>45:", task="countdown"), problem("q", "1,2>3:", task="countdown"), problem("r", "2,2>4:", task="countdown")]
)
FIX = {"template": "{prompt}{attempt}#2:"}


def engine(*answers, otherwise="7"):
    return Scripted(answers=answers, otherwise=otherwise).open(Path(), "model-1", Machine())


def attempts():
    return [
        completion("a", "p", text="8*5=40;40+5=45", sample_index=0),
        completion("b", "p", text="8+1=9;9*5=45", sample_index=1),
        completion("c", "q", text="1+2=4", sample_index=0),
        completion("d", "q", text="", sample_index=1, finish_reason="error", completion_ids=[], logprobs=[]),
    ]


VERDICTS = [
    verdict("a", "wrong", reason="step 2: 5 is not available"),
    verdict("b"),
    verdict("c", "wrong", reason="step 1: 1+2 is 3, not 4"),
    verdict("d", "undecided"),
]


def given(completions=None, verdicts=VERDICTS, problems=PROBLEMS):
    made = attempts() if completions is None else completions
    return Tables(problems, records.COMPLETIONS.table(made), records.VERDICTS.table(list(verdicts)))


def rows(sampler, over=None, engines=None, seed=0):
    over = over if over is not None else given()
    made = sampler.sample(over, engines or {"policy": engine()}, seed, lambda done, total: None)
    assert made.num_rows == sampler.owes(over)
    return tables.conform(made, records.COMPLETIONS).to_pylist()


def asked(row):
    return engine().decode(row["prompt_ids"])


def test_every_sampled_attempt_is_followed_and_an_error_is_not():
    made = rows(Chain(n=2, **FIX))
    assert [(row["parent_id"], row["turn"], row["sample_index"]) for row in made] == [
        ("a", 1, 0),
        ("a", 1, 1),
        ("b", 1, 2),
        ("b", 1, 3),
        ("c", 1, 0),
        ("c", 1, 1),
    ]
    assert asked(made[0]) == "1,5,8>45:8*5=40;40+5=45#2:"
    assert len({row["completion_id"] for row in made}) == 6
    assert [row["seed"] for row in made[:2]] == [seeds.seed_of(0, "p", "turn", 1, index) for index in (0, 1)]
    assert len({row["group_id"] for row in made}) == 2  # one for each problem and turn


@pytest.mark.parametrize(
    ("of", "parents"), [("all", ["a", "b", "c"]), ("wrong", ["a", "c"]), ("first", ["a", "c"]), ("first_wrong", ["a", "c"])]
)
def test_the_attempts_that_are_followed_can_be_chosen(of, parents):
    assert [row["parent_id"] for row in rows(Chain(of=of, **FIX))] == parents


def test_what_is_undecided_is_not_wrong():
    made = rows(Chain(of="wrong", **FIX), given(verdicts=[verdict("a", "undecided"), verdict("c", "wrong")]))
    assert [row["parent_id"] for row in made] == ["c"]


def test_the_verifiers_reason_stands_in_the_prompt():
    made = rows(Chain(op="reflect", of="wrong", template="{prompt}{attempt}#{reason}:", ending=":"))
    assert asked(made[0]) == "1,5,8>458*5=40;40+5=45#step 2: 5 is not available:"


def test_without_a_place_for_the_attempt_it_stands_as_the_assistants_turn():
    seen = []

    class Watching:
        def __getattr__(self, name):
            return getattr(engine(), name)

        def render(self, messages):
            seen.append(messages)
            return engine().render(messages)

    rows(Chain(turns=2), given(attempts()[:1]), {"policy": Watching()})
    look_again = {"role": "user", "content": TEMPLATES["self_correct"]}
    first = [{"role": "user", "content": "1,5,8>45:"}, {"role": "assistant", "content": "8*5=40;40+5=45"}, look_again]
    assert seen == [first, [*first, {"role": "assistant", "content": "7"}, look_again]]


def test_turns_follow_each_other_and_only_the_first_has_n():
    made = rows(Chain(n=2, turns=2, **FIX), given(attempts()[:1]))
    assert [row["turn"] for row in made] == [1, 1, 2, 2]
    assert [row["parent_id"] for row in made[2:]] == [row["completion_id"] for row in made[:2]]
    assert asked(made[2]) == "1,5,8>45:7#2:"


def test_braces_in_an_attempt_stay_and_what_is_foreign_becomes_a_comma():
    made = rows(Chain(foreign=r"[^0-9+\-*/=;]", **FIX), given([completion("a", "p", text="{prompt}#1:")]))
    assert asked(made[0]) == "1,5,8>45:,,,,,,,,,1,#2:"
    made = rows(Chain(**FIX), given([completion("a", "p", text="{prompt}\0")]))
    assert asked(made[0]) == "1,5,8>45:{prompt} #2:"


def test_only_completions_that_none_follows_are_attempts():
    made = rows(Chain(**FIX), given([*attempts()[:1], completion("a2", "p", text="9", turn=1, parent_id="a"), completion("x", "gone")]))
    assert [(row["parent_id"], row["turn"]) for row in made] == [("a2", 2)]


def test_feedback_is_a_turn_of_its_own_between_attempt_and_refinement():
    check = Chain(role="critic", template="{prompt}{attempt}#:", n=2)
    chain = Chain(op="feedback_refine", feedback=check, template="{prompt}{attempt}#{feedback}:")
    engines = {"policy": engine(), "critic": engine(("1,2>3:1+2=4#:", ("1",)))}
    made = rows(chain, given([attempts()[2]]), engines)
    assert [(row["role"], row["turn"]) for row in made] == [("critic", 1), ("critic", 1), ("policy", 2), ("policy", 2)]
    assert [row["parent_id"] for row in made] == ["c", "c", made[0]["completion_id"], made[1]["completion_id"]]
    assert asked(made[2]) == "1,2>3:1+2=4#1:"


def test_it_samples_the_first_turn_itself_where_no_stage_did():
    chain = Chain(first=Independent(n=2), op="reflect", verifiers=(Countdown(),), template="{prompt}{attempt}#{reason}:", n=1, turns=2)
    made = rows(chain, Tables(PROBLEMS), {"policy": engine(otherwise="1+2=3")})
    assert [row["turn"] for row in made] == [0] * 6 + [1] * 6 + [2] * 6
    assert [row["parent_id"] for row in made[6:12]] == [row["completion_id"] for row in made[:6]]
    assert asked(made[6]) == "1,5,8>45:1+2=3#step 1: 2 is not available:"
    assert asked(made[8]) == "1,2>3:1+2=3#solved:"
    assert asked(made[14]) == "1,2>3:1+2=3#solved:"


def test_an_attempt_that_was_not_sampled_here_is_followed_by_an_error():
    class Failing:
        def __getattr__(self, name):
            return getattr(engine(), name)

        def sample(self, requests, **law):
            found = engine().sample(requests, **law)
            return [
                [type(one)([], [], None, None, "error") if request.seeds[0] == first else one for one in its]
                for request, its in zip(requests, found, strict=True)
            ]

    first = seeds.seed_of(0, "q", 0)
    made = rows(Chain(first=Independent(n=1), **FIX), Tables(PROBLEMS), {"policy": Failing()})
    assert [row["finish_reason"] for row in made] == ["stop", "error", "stop", "stop", "error", "stop"]


def test_an_attempt_that_leaves_no_room_is_an_error_and_the_others_are_asked():
    small = engine()
    small.positions = 60
    made = rows(Chain(**FIX), given([completion("a", "p", text="1" * 50), completion("b", "q", text="1+2=3")]), {"policy": small})
    assert [(row["parent_id"], row["finish_reason"]) for row in made] == [("a", "error"), ("b", "stop")]


def test_rows_depend_neither_on_other_problems_nor_on_n():
    many = {row["completion_id"]: row for row in rows(Chain(n=1, **FIX))}
    few = rows(Chain(n=1, **FIX), given([attempts()[2]]))
    assert [many[row["completion_id"]] for row in few] == few


@pytest.mark.parametrize(
    "bad",
    [
        {"op": "feedback_refine"},
        {"feedback": Chain()},
        {"first": Independent(), "of": "wrong"},
        {"op": "reflect", "turns": 2},
        {"op": "reflect", "first": Independent()},
    ],
)
def test_settings_that_cannot_work_are_refused(bad):
    with pytest.raises(UserError, match="Chain: "):
        Chain(**bad)


def test_it_is_a_sampler_and_survives_json():
    chain = Chain(op="feedback_refine", first=Independent(), feedback=Chain(role="critic"))
    assert isinstance(chain, Sampler)
    assert Chain.model_validate(chain.model_dump(mode="json")) == chain
