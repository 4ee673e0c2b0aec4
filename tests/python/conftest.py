from collections.abc import Iterator

import pytest
import torch
from live_models import Branchy
from torch import nn


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture(scope="module")
def kept_captures() -> Iterator[None]:
    """Each configuration of a transformers model is captured once in a file of tests."""
    from kept_captures import keeping_captures  # it imports transformers

    with keeping_captures():
        yield


@pytest.fixture
def branchy() -> nn.Module:
    torch.manual_seed(0)
    return Branchy().eval()
