from collections.abc import Iterator
from pathlib import Path

import pytest

from lib import models
from lib.small_model import SmallLlama
from tests.model_server import Faulty, Running, running
from tests.server_questions import NAME


@pytest.fixture(scope="session")
def served_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model with weights large enough that its distributions are far from uniform and depend on the context."""
    start, out = tmp_path_factory.mktemp("start"), tmp_path_factory.mktemp("model")
    SmallLlama(hidden_size=32, layers=2, heads=2, intermediate_size=48).build(start, seed=9)
    model = models.load_model(start, dtype="float32", device="cpu")
    for parameter in model.parameters():
        parameter.data *= 16 if parameter.dim() == 2 else 1
    models.save(model, start, out)
    return out


@pytest.fixture
def state() -> Faulty:
    return Faulty()


@pytest.fixture
def server(served_folder: Path, state: Faulty) -> Iterator[Running]:
    """A server that behaves well until told otherwise."""
    with running(served_folder, NAME, state) as started:
        yield started
