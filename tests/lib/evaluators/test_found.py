from lib.evaluators.found import Found
from lib.samplers.independent import Independent
from tests.evaluated import drawn, given, items, values
from tests.filter_stage import completion, verdict

TREE = Found(sampler=Independent(), name="tree")


def test_a_problem_is_found_where_any_completion_is_correct():
    tables = drawn(a="wwc", b="www", c="uu", d="")
    assert items(TREE, tables, "tree_found") == {"a": 1.0, "b": 0.0}
    assert values(TREE, tables)["tree_found"] == 0.5
    assert items(TREE, tables, "tree_tokens") == {"a": 6.0, "b": 6.0, "c": 4.0}


def test_what_a_node_has_of_its_parent_was_drawn_once():
    lengths = {"root": 5, "left": 9, "deep": 12, "right": 7}
    rows = [completion(name, completion_ids=[1] * n) for name, n in lengths.items()]
    parents = {"root": None, "left": "root", "deep": "left", "right": "root"}
    own = {"root": 2, "left": 6, "deep": 12, "right": 4}  # tokens that belong to the node; the rest was rolled out
    nodes = [
        {"completion_id": name, "depth": 0, "tokens": own[name], "visits": 1, "total_value": 0.0, "terminal": False, "parent": parent}
        for name, parent in parents.items()
    ]
    tables = given(rows, [verdict("deep")], nodes=nodes)
    assert values(TREE, tables)["tree_tokens"] == 5 + (9 - 2) + (12 - 6) + (7 - 2)
