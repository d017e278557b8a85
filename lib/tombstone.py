"""What stands in an artifact in place of weights that were collected, so that the store can tell collected from damaged.

`.collected.json` is written before the first file goes and permits the files it names to be missing, no more: a kill at any
moment leaves an artifact that is whole, or one that is collected.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from lib.files import write_json

NAME = ".collected.json"


@dataclass(frozen=True, slots=True)
class Maker:
    """Where a campaign made an artifact."""

    campaign: str
    round: int
    stage: str

    @property
    def command(self) -> str:
        """What makes it again; the start of a campaign is made again by whatever needs it."""
        if not self.round:
            return "whatever begins with it makes it again"
        return f"make it again with: roundhouse rerun {self.campaign} --round {self.round} --from {self.stage}"


@dataclass(frozen=True, slots=True)
class Gone:
    """A file that was collected."""

    sha256: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Which files may be missing, since when, and where they were made."""

    at: str
    """Date and time, UTC."""
    files: Mapping[str, Gone]
    maker: Maker | None = None

    def missing(self, folder: Path) -> dict[str, str]:
        """File name → sha256 of those that are not there."""
        return {name: gone.sha256 for name, gone in self.files.items() if not (folder / name).is_file()}

    def sentence(self, digest: str) -> str:
        remedy = self.maker.command if self.maker else "what made it makes it again"
        return f"the weights of model {digest[:12]} were collected on {self.at[:10]}; {remedy}"


def read(folder: Path) -> Tombstone | None:
    """The tombstone in an artifact's folder; None where there is none, or one that nobody can read."""
    try:
        return TypeAdapter(Tombstone).validate_json((folder / NAME).read_bytes())
    except (FileNotFoundError, NotADirectoryError, ValidationError):
        return None


def write(folder: Path, tombstone: Tombstone, workspace: Path) -> None:
    """Put it into an artifact's folder, where nothing else may be left of it."""
    write_json(folder / NAME, asdict(tombstone), workspace)
