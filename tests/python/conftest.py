import pytest
import torch
from live_models import Branchy
from torch import nn


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def branchy() -> nn.Module:
    torch.manual_seed(0)
    return Branchy().eval()
