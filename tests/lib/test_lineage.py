import io
import shutil

import pytest
from rich.console import Console

from lib.errors import UnknownName, UserError
from lib.home import Home
from lib.lineage import KINDS, lineage
from lib.lineage_view import render
from lib.records import PROBLEMS as PROBLEMS_SPEC
from tests.filter_stage import problem
from tests.small_home import HOSTILE, PROBLEMS, build, completion_id, example_id, train_some


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """One home for the whole file: nothing below writes to it."""
    return build(Home(tmp_path_factory.mktemp("home")))


def below(node, relation):
    return [child for child in node.children if child.relation == relation]


def only(node, relation):
    (child,) = below(node, relation)
    return child


def told(node, name):
    return dict(node.facts)[name]


def test_a_model_names_the_job_that_made_it_with_all_it_depends_on(small):
    job = only(lineage(small.home, "model", small.first), "made by")
    assert told(job, "stage") == "train"
    assert told(job, "settings") == {"trainer": {"strategy": "lib.trainers.sft:Sft", "steps": 700}}
    assert told(job, "models") == {"start": small.base}
    assert (told(job, "seed"), told(job, "versions"), len(told(job, "code"))) == (7, {"torch": "2.13.0"}, 64)


def test_a_model_names_the_examples_it_learned_from_and_what_is_behind_them(small):
    job = only(lineage(small.home, "model", small.second), "made by")
    learned, replayed = only(job, "learned from"), only(job, "replayed")
    assert (learned.id, replayed.id) == (small.examples[2], small.warm)
    assert told(learned, "examples") == {"sft": 5}
    assert told(learned, "completions") == 5
    assert told(learned, "dropped") == {"wrong": 10, "over the cap": 1}
    assert told(learned, "sampled_by") == sorted([small.base, small.first])
    assert told(only(learned, "made by"), "stage") == "filter"


def test_a_models_ancestors_go_back_to_the_random_beginning(small):
    walk = lineage(small.home, "model", small.second)
    ancestors = below(walk, "descends from")
    assert [node.id for node in ancestors] == [small.first, small.base, small.random]
    assert told(ancestors[0], "stands_in") == ["demo round 1 main/train"]
    assert only(only(ancestors[1], "made by"), "learned from").id == small.warm
    first = only(ancestors[2], "made by")
    assert told(first, "stage") == "initialise" and "models" not in dict(first.facts) and first.children == ()


def test_a_model_names_what_was_trained_from_it_and_what_it_sampled(small):
    walk = lineage(small.home, "model", small.base)
    child = only(walk, "trained from it")
    assert (child.id, told(child, "as_role")) == (small.first, "start")
    sampled = [(node.id, told(node, "stage"), told(node, "completions"), told(node, "shards")) for node in below(walk, "sampled by it")]
    assert sampled == [("demo round 0", "evaluate/validation", 4, 2), ("demo round 1", "main/sample", 8, 2)]


def test_a_model_that_training_left_as_it_was_is_not_its_own_ancestor(small, home):
    own = small.copy(home)
    files = {"model.safetensors": "weights of first", "config.json": '{"eos_token_id": 1}', "tokenizer_config.json": "{}"}
    own.publish("train", {}, {"examples": [small.warm]}, {"start": small.first}, files)
    walk = lineage(home, "model", small.first)
    assert [node.id for node in below(walk, "descends from")] == [small.base, small.random]
    assert len(below(walk, "made by")) == 2


def test_an_ancestor_that_was_removed_is_shown_by_what_the_records_still_say(small, home):
    own = small.copy(home)
    shutil.rmtree(own.store.folder(own.base))
    (gone,) = below(lineage(home, "model", small.first), "descends from")
    assert told(gone, "origin") == "no record of this model is here"


def test_an_example_goes_back_to_completions_verdicts_sampling_and_problem(small):
    source = completion_id(small.base, 1, 0)
    walk = lineage(small.home, "example", example_id(source))
    completion = only(walk, "made of (whole)")
    assert (completion.id, told(completion, "sampled_by"), told(completion, "seed")) == (source, small.base, 100)
    assert told(only(completion, "judged by"), "outcome") == "correct"
    assert told(only(completion, "sampled in"), "settings")["sampler"]["n"] == 2
    problem = only(walk, "teaches")
    assert (problem.id, told(problem, "prompt"), told(problem, "split")) == (PROBLEMS[1], "1,5,8>45:", ["train"])


def test_an_example_goes_on_to_every_model_that_learned_from_it_or_replayed_it(small):
    fresh = lineage(small.home, "example", example_id(completion_id(small.base, 1, 0)))
    assert {node.id for node in below(fresh, "learned by")} == {small.first, small.second}
    warm = lineage(small.home, "example", example_id(completion_id(small.random, 1, 0)))
    assert [node.id for node in below(warm, "learned by")] == [small.base]
    assert {node.id for node in below(warm, "replayed by")} == {small.first, small.second}


def test_what_a_model_was_given_and_evicted_it_did_not_learn(small, home):
    own, (gone, stayed) = small.copy(home), (completion_id(small.first, n, 0) for n in (1, 2))
    again = [completion_id(small.base, n, 0) for n in range(3)]  # which both rounds' examples hold: those of round 2 stay
    made = train_some(own, "some", own.first, [own.examples[1], own.examples[2]], 4, [*((0, of) for of in again), (1, gone)]).digest
    job = only(lineage(home, "model", made), "made by")
    part, whole = only(job, "learned from"), only(job, "given, and let go whole")
    assert (part.id, told(part, "examples"), told(part, "evicted")) == (own.examples[2], {"sft": 4}, {"sft": 1})
    assert (whole.id, told(whole, "examples"), told(whole, "evicted")) == (own.examples[1], {"sft": 0}, {"sft": 3})
    for of, is_learned in ((gone, False), (stayed, True), (again[1], True)):
        learned = {node.id for node in below(lineage(home, "example", example_id(of)), "learned by")}
        assert (made in learned) is is_learned
        walk = lineage(home, "completion", of)
        assert (made in {node.id for node in below(walk, "learned by")}) is is_learned
        places = [node for node in below(walk, "kept in") if made in {child.id for child in node.children}]
        assert len(places) == is_learned


def test_a_completion_tells_in_every_filter_stage_whether_it_was_kept(small):
    walk = lineage(small.home, "completion", completion_id(small.base, 0, 0))
    kept = below(walk, "kept in")
    assert [told(node, "stands_in") for node in sorted(kept, key=lambda node: node.facts)] == [
        ["demo round 1 main/filter"],
        ["demo round 2 main/filter"],
    ]
    assert {only(node, "learned by").id for node in kept} == {small.first, small.second}
    assert told(walk, "stands_in") == ["demo round 1 main/sample"]
    assert only(walk, "answers").id == PROBLEMS[0]


def test_a_dropped_completion_tells_by_which_filter_and_why(small):
    wrong = lineage(small.home, "completion", completion_id(small.base, 0, 1))
    assert [(node.id, told(node, "reason")) for node in below(wrong, "dropped by")] == [("KeepCorrect", "wrong")] * 2
    capped = lineage(small.home, "completion", completion_id(small.first, 0, 0))
    assert [(node.id, told(node, "reason")) for node in below(capped, "dropped by")] == [("CapPerProblem", "over the cap")]
    assert below(wrong, "kept in") == below(capped, "kept in") == []


def test_a_problem_goes_on_to_its_completions_their_fates_and_their_learners(small):
    walk = lineage(small.home, "problem", PROBLEMS[2])
    answers = {node.id: node for node in below(walk, "answered by")}
    trained = {completion_id(model, 2, i) for model, count in ((small.random, 1), (small.base, 2), (small.first, 2)) for i in range(count)}
    measured = {completion_id(model, 2, 0, "validation") for model in (small.base, small.first)}
    assert set(answers) == trained | measured
    learners = {model.id for node in answers.values() for kept in below(node, "kept in") for model in below(kept, "learned by")}
    assert learners == {small.base, small.first, small.second}
    assert [told(node, "outcome") for node in below(answers[completion_id(small.first, 2, 1)], "judged by")] == ["wrong"]


@pytest.mark.parametrize(
    ("name", "role"),
    [("demo", "first"), ("demo:champion", "first"), ("demo:base", "base"), ("demo:0", "base"), ("demo:2", "second")],
)
def test_a_model_is_found_by_its_campaign(small, name, role):
    assert lineage(small.home, "model", name).id == getattr(small, role)


def test_the_beginning_of_an_id_is_enough_where_no_other_begins_so(small):
    assert lineage(small.home, "model", small.first[:8]).id == small.first
    assert lineage(small.home, "problem", PROBLEMS[3][:8]).id == PROBLEMS[3]


def test_an_ambiguous_beginning_names_the_candidates(small, home):
    own = small.copy(home)
    twins = ["abcdef" + end * 26 for end in "019"]
    problems = [problem(name) for name in twins]
    own.publish("problems", {"split": "gate"}, {}, {}, {"shard-000/problems.parquet": (PROBLEMS_SPEC, problems)})
    with pytest.raises(UserError, match=f"'abcdef' begins several problem ids: {', '.join(twins)}; give more"):
        lineage(home, "problem", "abcdef")
    assert lineage(home, "problem", "abcdef0").id == twins[0]


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_id_names_its_neighbours(small, kind):
    with pytest.raises(UserError, match=f"no {kind} begins with '000000'; nearest: [0-9a-f]{{32}}"):
        lineage(small.home, kind, "000000")


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_home_says_that_there_is_nothing_yet(home, kind):
    with pytest.raises(UserError, match=f"there is no {kind} in this home yet"):
        lineage(home, kind, "abcdef")


def test_a_wrong_name_says_what_exists(small):
    with pytest.raises(UnknownName, match="did you mean 'demo'"):
        lineage(small.home, "model", "demon")
    with pytest.raises(UnknownName, match=r"no model 'demo:7'.*demo:2"):
        lineage(small.home, "model", "demo:7")
    with pytest.raises(UnknownName, match="did you mean 'problem'"):
        lineage(small.home, "problems", PROBLEMS[0])
    with pytest.raises(UserError, match="at least 6 characters"):
        lineage(small.home, "problem", PROBLEMS[0][:5])


def test_the_tree_as_rows_has_every_node_with_its_depth_and_parent(small):
    walk = lineage(small.home, "completion", completion_id(small.base, 0, 0))
    rows = walk.to_rows()
    assert rows[0] == {"depth": 0, "relation": "", "kind": "completion", "id": walk.id, "parent": "", "facts": dict(walk.facts)}
    assert [row["id"] for row in rows if row["depth"] == 1] == [child["id"] for child in walk.to_dict()["children"]]
    assert {row["parent"] for row in rows if row["depth"] == 1} == {walk.id}


def test_a_walk_is_the_same_every_time(small):
    name = PROBLEMS[0]
    assert lineage(small.home, "problem", name) == lineage(small.home, "problem", name)


def test_what_a_model_wrote_cannot_command_the_terminal(small):
    name = completion_id(small.base, 0, 0)
    screen = io.StringIO()
    Console(file=screen, width=200, force_terminal=True, color_system=None).print(render(lineage(small.home, "completion", name)))
    assert told(lineage(small.home, "completion", name), "text") == HOSTILE
    assert "\x1b]" not in screen.getvalue() and r"8+1=9\x1b]0;owned\x07" in screen.getvalue()


def test_the_shown_tree_says_how_things_stand_to_each_other(small):
    screen = io.StringIO()
    Console(file=screen, width=200).print(render(lineage(small.home, "model", "demo")))
    shown = screen.getvalue()
    for words in (
        "model " + small.first[:12],
        "learned from examples",
        "settings trainer Sft(steps=700)",
        "descends from model",
        "wrong 5",
    ):
        assert words in shown
