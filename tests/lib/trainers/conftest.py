"""Two tiny models and rows of random ids for them; every training of this folder runs in one process."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lib.small_model import SmallLlama

Row = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def one_thread_and_little_garbage() -> Iterator[None]:
    """Each training collects garbage once: most of a tiny one's time, unless what was imported is left out of it."""
    import torch

    from lib.trainers import through_trl  # noqa: F401

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _tiny(tmp_path_factory.mktemp("start"), seed=0)


@pytest.fixture(scope="session")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _tiny(tmp_path_factory.mktemp("other"), seed=1)


@pytest.fixture
def seen_ids() -> Iterator[list[list[list[int]]]]:
    """The token ids of every batch that any model is given, as lists."""
    import torch

    batches: list[list[list[int]]] = []

    def keep(module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        if isinstance(module, torch.nn.Embedding):
            batches.append(args[0].tolist())

    handle = torch.nn.modules.module.register_module_forward_pre_hook(keep)
    yield batches
    handle.remove()


@pytest.fixture(scope="session")
def logprobs() -> Callable[[Path, list[int]], list[float]]:
    """log π of every id after the first, one row at a time and without padding."""

    def of(folder: Path, ids: list[int]) -> list[float]:
        import torch

        from lib.models import load_model

        model = load_model(folder, dtype="float32", device="cpu")
        with torch.no_grad():
            scores = model(input_ids=torch.tensor([ids])).logits[0, :-1].log_softmax(-1)
        return scores[torch.arange(len(ids) - 1), torch.tensor(ids[1:])].tolist()

    return of


@pytest.fixture(scope="session")
def weights() -> Callable[[Path], dict[str, Any]]:
    from safetensors.torch import load_file

    return lambda folder: load_file(folder / "model.safetensors")


@pytest.fixture(scope="session")
def furthest(weights: Callable[[Path], dict[str, Any]]) -> Callable[[Path, Path], float]:
    """The largest difference between any two weights of two models."""

    def between(one: Path, two: Path) -> float:
        ours, theirs = weights(one), weights(two)
        return max(float((ours[name] - theirs[name]).abs().max()) for name in ours)

    return between


def _tiny(out: Path, seed: int) -> Path:
    SmallLlama(hidden_size=32, layers=2, heads=2, intermediate_size=64, max_positions=32, attention_dropout=0).build(out, seed)
    return out
