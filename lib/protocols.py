"""What each kind of strategy must offer, and the tables it works over.

A stage's verb is found from the method that its strategy has: sample, verify, filter or build, train, evaluate.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import pyarrow as pa

from lib import records

Report = Callable[[int, int], None]
"""Called with (done, total) while a stage works."""


def silent(done: int, total: int) -> None:
    """A report to nobody."""


@dataclass(frozen=True, slots=True)
class Tables:
    """The rows of one shard that a stage reads; a table that nobody wrote is empty."""

    problems: pa.Table
    completions: pa.Table = field(default_factory=records.COMPLETIONS.empty)
    verdicts: pa.Table = field(default_factory=records.VERDICTS.empty)
    token_scores: pa.Table = field(default_factory=records.TOKEN_SCORES.empty)
    nodes: pa.Table = field(default_factory=records.NODES.empty)
    rivals: pa.Table = field(default_factory=records.COMPLETIONS.empty)
    """For an evaluator with `against`: that model's completions; none where it is the one measured (lib.rivals)."""
    earlier: pa.Table = field(default_factory=records.COMPLETIONS.empty)
    """For a sampler that names `adds`: completions that it has made before and need not make again (lib.samplers.standing)."""
    begun: pa.Table = field(default_factory=records.COMPLETIONS.empty)
    """Likewise: completions that were cut off at a lower limit, to be continued."""
    seed: int = 0
    """For a verifier that draws; the second try of what stayed undecided has another."""
    report: Report = silent
    """For a verifier whose work is long."""


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt to be completed `len(seeds)` times; each seed names one random stream (64 bits)."""

    prompt_ids: Sequence[int]
    seeds: tuple[int, ...]
    start: int = 0
    """How many tokens of a completion `prompt_ids` ends with: what is drawn continues it and its stream."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """One completion as an engine returns it. The end-of-text token, if sampled, is the last of `ids`.

    `logprobs` are under the law that sampled (temperature and top_p applied), `logprobs_at_1` under the bare model; both
    have one float per id, or none at all where a server does not tell them. `entropy_mean` is in nats per token at
    temperature 1.
    """

    ids: list[int]
    logprobs: list[float]
    logprobs_at_1: list[float] | None
    entropy_mean: float | None
    finish_reason: str  # stop, length, or error where no answer came
    ids_source: str = "engine"  # or retokenised: the ids are those of the text, not those that were sampled
    text: str | None = None
    """What was written, where it is not just the text of the ids: a server's own words, or those before a stop string."""


@runtime_checkable
class Engine(Protocol):
    """Where tokens come from: one loaded model."""

    model_id: str

    def render(self, messages: list[dict[str, str]]) -> list[int]:
        """Token ids of a chat prompt, through the model's own chat template, ready for the answer."""
        ...

    def decode(self, ids: Sequence[int]) -> str:
        """The text of completion ids, special tokens left out."""
        ...

    def encode(self, text: str) -> list[int]:
        """Token ids of a completion's text, followed by the end-of-text token."""
        ...

    def sample(
        self, requests: Sequence[Request], *, temperature: float, top_p: float, max_new_tokens: int, report: Report
    ) -> list[list[Sampled]]:
        """For each request, one `Sampled` per seed, in order. temperature 0 is greedy."""
        ...


@dataclass(frozen=True, slots=True)
class Machine:
    """What a stage may use of the machine it runs on; never part of a key."""

    device: str = "cpu"
    micro_batch: int | None = None
    """Rows held at once by an engine, or per optimizer micro-step; None lets the strategy choose."""
    report: Report = silent
    scratch: Path | None = None
    """A folder of this work's own that outlives a crash, until its result is published; None keeps nothing."""


@runtime_checkable
class EngineFactory(Protocol):
    """Settings of an engine (a strategy); `open` loads a model folder.

    One that reads nothing of the folder says so with `reads_model = False`, one that would not sample the same again with
    `reproducible = False`, one that heeds the `start` of a request with `continues = True`.
    """

    def open(self, model: Path, model_id: str, machine: Machine) -> Engine: ...


@runtime_checkable
class Sampler(Protocol):
    """Writes completions for problems.

    One of which every completion is a function of the stage's seed, the problem and its own index may name its settings `n`
    and `max_new_tokens` in `adds`: where these alone grow, what it made before comes in `tables.earlier` and `tables.begun`.
    """

    def sample(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> pa.Table:
        """Rows of records.COMPLETIONS."""
        ...

    def owes(self, tables: Tables) -> int:
        """How many completions `sample` must return for these tables, errored ones counted."""
        ...


@runtime_checkable
class NodeSampler(Sampler, Protocol):
    """A sampler that searches: every completion continues another's first tokens, or none's, and makes one node of a tree.

    Its engine must heed `start`; the stage refuses one that does not.
    """

    def sample_nodes(self, tables: Tables, engines: Mapping[str, Engine], seed: int, report: Report) -> tuple[pa.Table, pa.Table]:
        """What `sample` returns, and a row of records.NODES for each completion."""
        ...


@runtime_checkable
class Verifier(Protocol):
    """Judges completions.

    One that looks at a whole group at once says so with `unit = "group"`, and is given whole groups when it tries again. One whose
    verdicts rest on other completions and what was said of these says `looks_back = True`: then its stage is one job over all
    problems, completions and verdicts that the stage reads, and it owes verdicts only for the completions that it judges;
    one whose verdicts rest on the problem's own answer or tests says `knows_gold = True`, and others are measured by it; one that
    holds another for its own ends, and shows it no gold answer, says `knows_gold = False`. Any strategy that judges by the
    problem set's own verifiers names the setting that takes them in `takes_own_verifiers`.
    """

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        """Rows of records.VERDICTS."""
        ...

    def owes(self, tables: Tables) -> int:
        """How many verdicts `verify` must return for these tables."""
        ...


@runtime_checkable
class TokenScorer(Verifier, Protocol):
    """A verifier that has a figure for every token besides its verdicts."""

    def verify_tokens(self, tables: Tables, engines: Mapping[str, Engine]) -> tuple[pa.Table, pa.Table]:
        """What `verify` returns, and rows of records.TOKEN_SCORES."""
        ...


class Built(NamedTuple):
    """What a builder makes: relations over records.EXAMPLES[kind], EXAMPLE_SOURCES and (completion_id, reason) drops."""

    examples: Any
    sources: Any
    dropped: Any


@runtime_checkable
class Filter(Protocol):
    """Says of every completion whether it stays."""

    def filter(self, rows: Any) -> Any:
        """A relation (completion_id, reason) over `rows` (lib.db.Rows); reason null means the completion stays."""
        ...


@runtime_checkable
class Builder(Protocol):
    """Makes examples of the completions that stayed; the last member of a filter stage."""

    makes: ClassVar[str]
    """The kind of example: a key of records.EXAMPLES."""

    def build(self, rows: Any) -> Built: ...


@runtime_checkable
class Trainer(Protocol):
    """Makes the next model."""

    learns_from: ClassVar[str]
    """The kind of example it reads: a key of records.EXAMPLES."""

    def train(self, models: Mapping[str, Path], examples: pa.Table, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """Train `models["start"]` (and, where the objective has one, against `models["reference"]`), save the new
        model folder to `out` and return its closing figures (loss and the like)."""
        ...


@runtime_checkable
class Gathering(Protocol):
    """What an online trainer is given: examples, whenever it asks, and a place to note what it did with them."""

    def gather(self, model: Any, number: int) -> pa.Table:
        """The examples of one iteration, sampled from a live model as it stands, in evaluation mode."""
        ...

    def note(self, number: int, **figures: float) -> None:
        """Add figures to what is kept of an iteration."""
        ...


@runtime_checkable
class OnlineTrainer(Protocol):
    """A trainer whose examples are sampled from the weights that it trains. It says `online = True`, and its settings name the
    `sampler`, `verifiers` and `filters` of every iteration, how many `problems` an iteration has, and its `undecided_limit`."""

    online: ClassVar[bool]
    learns_from: ClassVar[str]

    @property
    def problems(self) -> int: ...

    @property
    def undecided_limit(self) -> float: ...

    def train_online(self, models: Mapping[str, Path], gathering: Gathering, out: Path, seed: int, machine: Machine) -> dict[str, float]:
        """As `train`, with examples of every iteration asked of `gathering`."""
        ...


class Evaluated(NamedTuple):
    """Rows of records.METRICS and records.METRIC_ITEMS without model_id and split, which the stage fills in."""

    metrics: list[dict[str, Any]]
    items: list[dict[str, Any]]


@runtime_checkable
class Evaluator(Protocol):
    """Measures a model from completions and verdicts; names the sampler and verifiers that feed it (lib.evaluators.measuring)."""

    def evaluate(self, tables: Tables) -> Evaluated: ...


@dataclass(frozen=True, slots=True)
class Earlier:
    """A publication of the same sampling with another number of samples or another token limit (lib.grown)."""

    name: str
    """KEY/VERSION."""
    folder: Path
    n: int
    max_new_tokens: int


@dataclass(frozen=True, slots=True)
class Work:
    """What a stage function (`lib.stages.<verb>:run`) is given; it writes its files into a folder and returns stats.

    `settings` is the JSON of the stage's strategies; `inputs` maps a name to artifact folders, each holding
    `<table name>.parquet` files; `models` maps a role to (model_id, model folder).
    """

    settings: dict[str, Any]
    inputs: dict[str, list[Path]]
    models: dict[str, tuple[str, Path]]
    seed: int
    machine: Machine
    earlier: tuple[Earlier, ...] = ()
    """What a sample stage need not make again; never part of a key."""
