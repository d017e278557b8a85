from lib.filters.decontaminate import Decontaminate
from tests.filter_stage import completion, filtered, problem

LONG = "a train leaves the station at noon and travels north at sixty miles per hour until evening comes"


def dropped(folder, problems, held_out, **settings):
    completions = [completion(f"c-{p['problem_id']}", p["problem_id"]) for p in problems]
    result = filtered(folder, [Decontaminate(**settings)], completions, problems=problems, held_out=held_out)
    return {name.removeprefix("c-"): reason for name, reason in result.dropped.items()}


def test_the_same_id_or_the_same_text_is_held_out(tmp_path):
    problems = [problem("id", "x"), problem("text", " 1,2 > 3:\n"), problem("near", "1,2>3:"), problem("empty", "")]
    held_out = [problem("id", "y"), problem("h", "1,2 > 3:"), problem("no text", "")]
    assert dropped(tmp_path, problems, held_out) == dict.fromkeys(("id", "text"), "held out: same problem")


def test_a_shared_run_of_thirteen_words_is_held_out(tmp_path):
    words = LONG.split()
    problems = [problem("13", "Once, " + " ".join(words[2:15]).upper() + "!"), problem("12", " ".join(words[2:14]) + " it stops")]
    assert dropped(tmp_path, problems, [problem("h", LONG)]) == {"13": "held out: 13-gram"}
    assert dropped(tmp_path / "12", problems, [problem("h", LONG)], words=12) == dict.fromkeys(("12", "13"), "held out: 12-gram")


def test_instructions_shared_by_many_held_out_problems_are_no_match(tmp_path):
    held_out = [problem(f"h{i}", f"{LONG} number {i}") for i in range(11)]
    assert dropped(tmp_path, [problem("p", f"{LONG} how far")], held_out) == {}
    assert dropped(tmp_path / "few", [problem("p", f"{LONG} how far")], held_out[:10]) == {"p": "held out: 13-gram"}


def test_only_what_the_user_says_is_compared(tmp_path):
    system = {"role": "system", "parts": [{"type": "text", "text": LONG, "sha256": None}]}
    asked = problem("p", "2+2?")
    asked["prompt"] = [system, *asked["prompt"]]
    held_out = problem("h", "3+3?")
    held_out["prompt"] = [system, *held_out["prompt"]]
    assert dropped(tmp_path, [asked], [held_out]) == {}
    assert dropped(tmp_path / "same", [asked], [problem("h", "2+2?")]) == {"p": "held out: same problem"}


def test_pictures_are_compared_by_their_digest(tmp_path):
    def picture(name, digest):
        return problem(name) | {"prompt": [{"role": "user", "parts": [{"type": "image", "text": None, "sha256": digest}]}]}

    assert dropped(tmp_path, [picture("a", "11"), picture("b", "22")], [picture("h", "11")]) == {"a": "held out: same problem"}


def test_nothing_held_out_drops_nothing(tmp_path):
    assert dropped(tmp_path, [problem("p")], []) == {}
