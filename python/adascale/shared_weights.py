"""Operations that every simulated model refuses: it shares the user's weights, whose grids are decided."""

from typing import Any, Self

from .errors import Error


class SharedWeights:
    """Comes before ``nn.Module`` among a class's bases."""

    def load_state_dict(self, *_args: Any, **_kwargs: Any) -> Any:
        raise Error("sim.model.load_state_dict(): load the weights into the model, then simulate it anew")

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        raise Error("sim.model cannot be copied; make another QuantizationSimModel")

    def __reduce__(self) -> Any:
        raise Error("sim.model cannot be pickled; sim.export() writes files")
