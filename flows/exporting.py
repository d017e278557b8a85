"""What `roundhouse export` does and prints; each export is noted in the home, for `roundhouse forget` to find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flows import terminal
from lib import exported
from lib import home as homes
from lib.lineage_view import ID_SHOWN
from lib.report.words import count


def model(name: str, folder: str, *, as_json: bool) -> None:
    """Write a model's folder."""
    from lib import export_model

    home, target = homes.current(), _place(folder)
    told = export_model.write(home, name, target)
    exported.note(home, f"model {name}", target, [told["model"]])
    _say({"folder": str(target), **told}, f"model {told['model'][:ID_SHOWN]} is in {target}", as_json)


def examples(name: str, folder: str, *, as_json: bool) -> None:
    """Write a dataset."""
    from lib import export_examples

    home, target = homes.current(), _place(folder)
    told = export_examples.write(home, name, target)
    exported.note(home, f"examples {name}", target, told["artifacts"])
    counted = ", ".join(f"{rows:,} {kind}" for kind, rows in told["rows"].items())
    line = f"examples of {count(len(told['rounds']), 'round')} are in {target}: {counted}; datasets.load_dataset(FOLDER, KIND) reads them"
    _say({"folder": str(target), **told}, line, as_json)


def bundle(name: str, target: str, *, weights: bool, as_json: bool) -> None:
    """Write an auditor's bundle."""
    from lib import bundle as bundles

    home, place = homes.current(), _place(target)
    told = bundles.write(home, name, place, weights=weights)
    exported.note(home, f"bundle {name}", place, bundles.artifacts_of(home, name)[0])
    line = f"{told['artifacts']} artifacts and {told['records']} records are in {place}; `python verify.py` there checks them"
    _say({"target": str(place), **told}, f"{line}; seal {told['seal']}", as_json)


def _place(given: str) -> Path:
    return Path(given).expanduser().resolve()


def _say(told: dict[str, Any], line: str, as_json: bool) -> None:
    if as_json:
        terminal.print_json(told)
    else:
        terminal.console.print(line, markup=False, soft_wrap=True)
