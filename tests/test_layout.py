"""The house rules that a machine can hold: who imports whom, how big things get, what stays cheap to import."""

from __future__ import annotations

import ast
import shutil
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = ("flows", "tasks", "lib")
HEAVY = ("torch", "transformers", "trl", "prefect", "mlflow", "duckdb")
STRATEGIES = ("engines", "problems", "samplers", "verifiers", "filters", "trainers", "evaluators", "controllers")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py") if path.stat().st_size)


def lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def nodes(*folders: str) -> Iterator[tuple[str, ast.AST]]:
    """Every syntax node of every file, with `file:line`."""
    for path in files(*folders):
        for node in ast.walk(parsed(path)):
            yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}", node


def functions(*folders: str) -> list[tuple[str, Function, int]]:
    """Every def, methods and nested ones too: `file:line name`, its node, its length in lines."""
    return [
        (f"{where} {node.name}", node, (node.end_lineno or node.lineno) - node.lineno + 1)
        for where, node in nodes(*folders)
        if isinstance(node, Function)
    ]


def camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def strategies() -> list[tuple[Path, str]]:
    """The strategy classes with the files that hold them: those that inherit through another one too, but not that other one."""
    classes = [
        (path, node.name, {base.id for base in node.bases if isinstance(base, ast.Name)})
        for path in files(*(f"lib/{folder}" for folder in STRATEGIES))
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef)
    ]
    family = {"Strategy"}
    while more := {name for _, name, bases in classes if bases & family} - family:
        family |= more
    shared = {base for _, _, bases in classes for base in bases}
    return [(path, name) for path, name, bases in classes if bases & family and name not in shared]


def strategy_modules() -> list[str]:
    return sorted({".".join(path.relative_to(ROOT).with_suffix("").parts) for path, _ in strategies()})


def recipe_modules() -> list[str]:
    return [f"lib.recipes.{path.stem}" for path in files("lib/recipes") if path.stem != "__init__"]


def test_no_file_is_longer_than_300_lines() -> None:
    assert [f"{path.relative_to(ROOT)}: {lines(path)}" for path in files(*OURS, "tests", "bench") if lines(path) > 300] == []


def test_no_function_is_longer_than_60_lines() -> None:
    assert [f"{where}: {length}" for where, _, length in functions(*OURS, "tests", "bench") if length > 60] == []


def test_the_median_file_has_at_most_100_lines() -> None:
    assert statistics.median(lines(path) for path in files(*OURS)) <= 100


def test_the_median_function_has_at_most_12_lines_and_nine_in_ten_at_most_35() -> None:
    lengths = [length for _, _, length in functions(*OURS)]
    assert statistics.median(lengths) <= 12
    assert statistics.quantiles(lengths, n=10)[-1] <= 35


def test_every_function_says_what_it_returns() -> None:
    assert [where for where, node, _ in functions(*OURS) if node.returns is None] == []


def test_no_drawer_files() -> None:
    drawers = {"utils", "util", "common", "helpers", "base", "misc"}
    assert [str(path.relative_to(ROOT)) for path in files(*OURS, "tests", "bench") if path.stem in drawers] == []


def test_import_contracts_hold() -> None:
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_models_are_loaded_through_one_door() -> None:
    calls = {where.partition(":")[0] for where, node in nodes(*OURS) if isinstance(node, ast.Attribute) and node.attr == "from_pretrained"}
    assert calls <= {"lib/models.py"}


def test_a_strategy_is_named_after_its_file() -> None:
    assert strategies()
    assert [f"{path.relative_to(ROOT)}: {name}" for path, name in strategies() if name != camel(path.stem)] == []


def test_strategies_and_recipes_import_nothing_heavy() -> None:
    modules = [*strategy_modules(), *recipe_modules()]
    program = f"""
import importlib, sys
for module in {modules!r}:
    before = set(sys.modules)
    importlib.import_module(module)
    for name in {HEAVY!r}:
        if name in sys.modules and name not in before:
            print(module, "imports", name)
"""
    fresh = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert fresh.returncode == 0, fresh.stderr
    assert fresh.stdout == ""


@pytest.mark.skipif(shutil.which("git") is None or not (ROOT / ".git").exists(), reason="needs git, and a checkout of it")
def test_git_ignores_what_runs_make_and_nothing_of_ours() -> None:
    paths = ["lib/records.py", "data/README.md", "bench/sample.py", "data/mlflow.db", "build/coverage"]
    ignored = subprocess.run(["git", "check-ignore", *paths], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ignored.stdout.split() == ["data/mlflow.db", "build/coverage"]


def test_no_package_in_tests_shadows_ours() -> None:
    assert [str(path.relative_to(ROOT)) for path in (ROOT / "tests").rglob("__init__.py")] == []
