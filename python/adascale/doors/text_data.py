"""Text files, or texts in memory, as rows of tokens."""

from torch import Tensor

from .door import DataRequest
from .given import GivenData
from .rows import TextModel, is_packed, token_rows
from .texts import Documents, read_documents


def read_text(data: DataRequest, given: GivenData | None, model: TextModel) -> dict[str, Tensor]:
    """Named inputs, samples along dimension 0: see :func:`token_rows`."""
    if data.files:
        sources = [read_documents(file, by_line=not is_packed(data, model)) for file in data.files]
    else:
        assert given is not None and given.texts is not None
        sources = [Documents("data", given.texts)]
    return token_rows(sources, data, model)
