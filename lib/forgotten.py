"""What a home was told to forget, and what stands in place of an artifact that held it.

    store/forgotten/KIND-ID.json             one a problem or completion: when, what else went with it, which artifacts were
                                             rewritten; written first, so that nothing published from then on holds it again
    store/artifacts/ab/DIGEST/.forgotten.json  in place of the files: the digest of the artifact that took their place.
                                             The index `.files.json` stays, so that the name still says what was there

Rounds, campaigns and records of other jobs go on naming the old digest, and `Artifacts.now` follows the stones from it. Like
the tombstone of collected weights the stone is written before the first file goes, so that a kill at any moment leaves the
old artifact or the new one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lib.errors import UserError
from lib.files import write_json

NAME = ".forgotten.json"

KINDS = ("problem", "completion")


@dataclass(frozen=True, slots=True)
class Stone:
    """What stands in place of an artifact's files."""

    at: str
    """Date and time, UTC."""
    now: str
    """The artifact without what was forgotten."""
    what: tuple[str, ...]
    """`problem ID` or `completion ID`."""


def stone(folder: Path) -> Stone | None:
    """The stone in an artifact's folder; None where there is none, or one that nobody can read."""
    try:
        return TypeAdapter(Stone).validate_json((folder / NAME).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def put_stone(folder: Path, made: Stone, workspace: Path) -> None:
    """Put it into an artifact's folder, where nothing else may be left of it."""
    write_json(folder / NAME, asdict(made), workspace)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """One problem or completion that a home forgot."""

    kind: str
    id: str
    at: str
    removed: tuple[str, ...] = ()
    """Completions whose rows went: those of a forgotten problem."""
    blanked: tuple[str, ...] = ()
    """Completions whose rows stay without content: a forgotten one, and what continued it or followed from it."""
    examples: tuple[str, ...] = ()
    """Examples that were made of any of these."""
    born: tuple[str, ...] = ()
    """Problems that were made of any of these, and are forgotten with them."""
    artifacts: Mapping[str, str] = field(default_factory=dict)
    """Artifact before → after."""
    learned: Mapping[str, str] = field(default_factory=dict)
    """Model → how it came to it: `directly`, `by replay` or `through DIGEST, …`."""
    is_done: bool = False
    """False while it is at work, or was cut off."""

    @property
    def name(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def problems(self) -> tuple[str, ...]:
        """Every problem that goes."""
        return (*((self.id,) if self.kind == "problem" else ()), *self.born)


def known(store: Path) -> list[Forgotten]:
    """All that a store forgot or is about to, in order. Raises UserError for a note that is damaged."""
    found = []
    for path in sorted((store / "forgotten").glob("*.json")):
        try:
            found.append(TypeAdapter(Forgotten).validate_json(path.read_bytes()))
        except ValidationError as error:
            raise UserError(f"{path} is damaged ({error.errors()[0]['msg']}); restore it, or forget that again") from None
    return found


def note(store: Path, one: Forgotten) -> None:
    write_json(store / "forgotten" / f"{one.kind}-{one.id}.json", asdict(one))
