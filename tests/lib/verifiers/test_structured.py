"""JsonParses, JsonSchema, Pattern, Tags, Length and Repetition: what they say of a text."""

import http.server
import json
import threading
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lib import records, tables
from lib.errors import UserError
from lib.protocols import Tables
from lib.strategy import load
from lib.verifiers.json_parses import JsonParses
from lib.verifiers.json_schema import JsonSchema
from lib.verifiers.length import Length
from lib.verifiers.pattern import Pattern
from lib.verifiers.repetition import Repetition
from lib.verifiers.tags import Tags
from tests.filter_stage import completion, problem

PERSON = json.dumps({"type": "object", "required": ["age"], "properties": {"age": {"type": "integer", "minimum": 0}}})
MARKS = [
    "{",
    "}",
    "[",
    "]",
    '"',
    ":",
    ",",
    "1",
    "NaN",
    "\\",
    "```json\n",
    "```",
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    " ",
    "\n",
    "a",
    "\x00",
]
TEXTS = st.text(st.characters(codec="utf-8"), max_size=30) | st.lists(st.sampled_from(MARKS), max_size=20).map("".join)


def verdicts(verifier, texts, tests=None, finish="stop", ids=(7, 8)):
    """The verdicts on several texts of one problem with these tests."""
    problems = records.PROBLEMS.table([problem("p", tests=tests)])
    rows = [completion(f"c{place:04}", text=text, finish_reason=finish, completion_ids=list(ids)) for place, text in enumerate(texts)]
    both = Tables(problems, records.COMPLETIONS.table(rows))
    made = tables.conform(verifier.verify(both, {}), records.VERDICTS)
    assert made.num_rows == verifier.owes(both) == len(texts)
    assert set(made["verifier"].to_pylist()) <= {verifier.name}
    return made.to_pylist()


def outcomes(verifier, *texts, **more):
    return [row["outcome"] for row in verdicts(verifier, texts, **more)]


def misjudged(verifier, right, wrong, **more):
    """The texts with their outcomes, of those that should be correct and of those that should be wrong, where they came out otherwise."""
    wanted = [*((text, "correct") for text in right), *((text, "wrong") for text in wrong)]
    found = zip(wanted, outcomes(verifier, *right, *wrong, **more), strict=True)
    return [(text, outcome) for (text, expected), outcome in found if outcome != expected]


ALL = [JsonParses(), JsonSchema(document=PERSON), Length(), Pattern(pattern="(a+)+b"), Repetition(), Tags()]


@pytest.mark.parametrize("verifier", ALL, ids=lambda one: one.name)
def test_what_was_not_sampled_is_undecided(verifier):
    assert outcomes(verifier, "{}", finish="error") == ["undecided"]


@pytest.mark.parametrize("verifier", ALL, ids=lambda one: one.name)
def test_settings_survive_json(verifier):
    assert load(json.loads(verifier.model_dump_json())) == verifier


@pytest.mark.parametrize("kind", [JsonSchema, Length, Pattern, Repetition, Tags])
def test_one_kind_may_judge_twice_under_two_names(kind):
    assert [row["verifier"] for row in verdicts(kind(name="other"), ["a"])] == ["other"]


@given(
    st.lists(TEXTS, max_size=4),
    st.sampled_from([one for one in ALL if not isinstance(one, JsonSchema)]),
    st.sampled_from(["stop", "length"]),
)
@example(["\\", '"\\', "<answer></think>", '{"a":' * 200], JsonParses(), "stop")
def test_no_text_raises(texts, verifier, finish):
    assert set(outcomes(verifier, *texts, finish=finish)) <= {"correct", "wrong"}


@given(st.lists(TEXTS | st.recursive(st.none() | st.integers() | TEXTS, st.lists).map(json.dumps), min_size=20, max_size=40))
@settings(max_examples=5, deadline=None)
def test_no_text_raises_under_a_schema(texts):
    assert set(outcomes(JsonSchema(document=PERSON), *texts)) <= {"correct", "wrong"}


def test_json_is_read_strictly():
    right = ['{"a": [1, 2.5e3, null]}', " [] \n", '"\\ud800"', "Here:\n```json\n{}\n```\nDone.", "```json\n1\n```\n```json\n[]\n```", "-0"]
    wrong = [
        "",
        "{'a': 1}",
        '{"a": 1,}',
        '{"a": 1, "a": 2}',
        "NaN",
        "[Infinity]",
        "1e999",
        "Here: {}",
        "{} {}",
        "```json\n{\n```",
        "[1",
        "1" * 5000,
    ]
    assert misjudged(JsonParses(), right, wrong) == []
    assert (
        misjudged(
            JsonParses(), ["[" * 100 + "]" * 100, '"' + "[" * 1000 + '"'], ["[" * 101 + "]" * 101, "[" * 99_000, '"' + "x" * 100_000 + '"']
        )
        == []
    )


def test_json_that_was_cut_off_is_wrong_and_says_so():
    assert verdicts(JsonParses(), ['{"a": '], finish="length")[0]["reason"] == "cut off by the length limit"
    assert outcomes(JsonParses(), "{}", finish="length") == ["correct"]


def test_json_fits_its_schema():
    right, wrong = ['{"age": 4}', '```json\n{"age": 0, "name": "x"}\n```'], ["{}", '{"age": -1}', '{"age": "4"}', "[]", "{"]
    assert misjudged(JsonSchema(document=PERSON), right, wrong) == []
    assert misjudged(JsonSchema(), right, wrong, tests=PERSON) == []
    assert verdicts(JsonSchema(document=PERSON), ['{"age": -1}'])[0]["reason"] == "$.age: -1 is less than the minimum of 0"


def test_a_schema_may_refer_to_itself_and_to_the_published_metaschemas():
    tree = {"$ref": "#/$defs/t", "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}}
    assert misjudged(JsonSchema(document=json.dumps(tree)), ["[[], [[]]]"], ["[[1]]"]) == []
    assert (
        misjudged(
            JsonSchema(document='{"$ref": "https://json-schema.org/draft/2020-12/schema"}'), ['{"type": "object"}'], ['{"type": "thing"}']
        )
        == []
    )


@pytest.mark.parametrize(
    "tests", [None, "", "{", "[1]", '{"type": "thing"}', '{"$ref": "#/nowhere"}', '{"$ref": "#"}', '{"multipleOf": 0.5}']
)
def test_a_schema_that_cannot_be_used_leaves_texts_undecided(tests):
    assert outcomes(JsonSchema(), "1" + "0" * 400, tests=tests) == ["undecided"]


def test_a_schema_is_never_fetched():
    asked = []

    class Schemas(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Schemas) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        schema = json.dumps({"$ref": f"http://127.0.0.1:{server.server_port}/schema.json"})
        found = verdicts(JsonSchema(document=schema), ["{}"])[0]
        server.shutdown()
    assert (found["outcome"], asked) == ("undecided", [])


def test_a_validation_without_end_is_killed_and_the_next_is_served():
    schema = json.dumps({"anyOf": [{"type": "string", "pattern": "^(a+)+$"}, {"type": "array", "uniqueItems": True}]})
    slow = json.dumps("a" * 40 + "b")
    start = time.monotonic()
    verifier = JsonSchema(document=schema, seconds=0.5)
    found = verdicts(verifier, [slow, '"aaa"', slow, "[1, 1]", json.dumps([{"a": place} for place in range(6000)])])
    assert [row["outcome"] for row in found] == ["undecided", "correct", "undecided", "wrong", "undecided"]
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("document", ["", "{", "[]", "1", '{"type": "thing"}', '{"a": 1, "a": 2}'])
def test_a_schema_in_the_settings_is_checked_at_once(document):
    with pytest.raises(UserError, match="JSON Schema"):
        JsonSchema(document=document)


def test_a_pattern_matches_a_part_or_the_whole():
    assert misjudged(Pattern(pattern=r"\d{3}-\d{4}"), ["call 555-0199 now", "555-0199"], ["call now", ""]) == []
    assert misjudged(Pattern(pattern=r"\d{3}-\d{4}", is_whole=True), [" 555-0199\n"], ["call 555-0199"]) == []
    assert misjudged(Pattern(), ["YES"], ["no"], tests="(?i)^yes$") == []


def test_a_pattern_that_backtracks_without_end_and_one_that_cannot_be_read_are_undecided():
    hostile = Pattern(pattern="^(a|aa)+$", seconds=0.2)
    assert outcomes(hostile, "a" * 99_000 + "b", "aaa") == ["undecided", "correct"]
    assert outcomes(Pattern(pattern="a"), "a" * 100_001) == ["wrong"]
    for tests in (None, "(", "[", "(?<n>a)(?P=m)", "a{99999999999999999999}"):
        assert outcomes(Pattern(), "a", tests=tests) == ["undecided"]


def test_a_pattern_in_the_settings_is_checked_at_once():
    with pytest.raises(UserError, match=r"'\(' is no regular expression"):
        Pattern(pattern="(")


def test_tags_come_once_in_order_with_nothing_outside():
    right = ["<think>2 + 2</think> <answer>4</answer>", "\n<think>a < b </b></think>\n\n<answer>\n4\n</answer>\n"]
    wrong = [
        "",
        "4",
        "<answer>4</answer>",
        "<think>2</think>",
        "<think>2</think><answer>4",
        "<answer>4</answer><think>2</think>",
        "<think>2</think><answer>4</answer>.",
        "So: <think>2</think><answer>4</answer>",
        "<think>2</think> so <answer>4</answer>",
        "<think>2</think><answer>4</answer><answer>5</answer>",
        "<think><think>2</think></think><answer>4</answer>",
        "<think>2<answer>4</answer></think>",
        "<think> </think><answer>4</answer>",
        "<think>2</think><answer></answer>",
        "<Think>2</Think><answer>4</answer>",
        "<think >2</think><answer>4</answer>",
    ]
    assert misjudged(Tags(), right, wrong) == []


def test_tags_where_the_prompt_opened_the_first_one():
    assert (
        misjudged(
            Tags(is_first_open=True), ["2</think><answer>4</answer>"], ["<think>2</think><answer>4</answer>", "</think><answer>4</answer>"]
        )
        == []
    )


def test_tags_of_other_names():
    assert misjudged(Tags(names=("sql",)), ["<sql>SELECT 1</sql>"], ["SELECT 1", "<answer>SELECT 1</answer>"]) == []
    for names in (("a", "a"), ("",), ("a b",), ("<a>",)):
        with pytest.raises(UserError, match="tag"):
            Tags(names=names)


def test_length_counts_its_bounds_in():
    assert misjudged(Length(least=1, most=3), ["a", "a b c"], ["", " \n ", "a b c d"]) == []
    assert misjudged(Length(unit="characters", least=2, most=3), ["ab", "a\nb", "日本"], ["a", "abcd"]) == []
    assert misjudged(Length(unit="tokens", least=2, most=2), ["any"], [], ids=[5, 6]) == []
    assert misjudged(Length(unit="tokens", least=2, most=2), [], ["any"], ids=[5, 6, 7]) == []
    with pytest.raises(UserError, match="at least 3 and at most 2"):
        Length(least=3, most=2)


@pytest.mark.parametrize(("text", "share"), [("a b c d e", 0.0), ("no " * 8, 0.8), ("a b c d a b c d", 0.2), ("a a a", 0.0)])
def test_the_share_of_repeated_n_grams(text, share):
    assert outcomes(Repetition(most=share), text) == ["correct"]
    if share:
        assert outcomes(Repetition(most=share - 0.01), text) == ["wrong"]


def test_repetition_in_characters_and_tokens():
    assert misjudged(Repetition(unit="characters", n=2), ["abcdef"], ["ha" * 20]) == []
    assert outcomes(Repetition(unit="tokens", n=1), "any", ids=[5, 6, 7]) == ["correct"]
    assert outcomes(Repetition(unit="tokens", n=1), "any", ids=[5, 5, 5]) == ["wrong"]


@pytest.mark.parametrize("part", ["[", '"', '\\"', "{", "```json\n", "<think>", "</answer>", "a ", "\x00", "["])
def test_long_texts_take_little_time(part):
    text = part * (1_000_000 // len(part))
    start = time.process_time()
    for verifier in ALL:
        if not isinstance(verifier, Pattern):
            outcomes(verifier, text)
    assert time.process_time() - start < 6
