"""The cells of the accuracy table: a model on a grid, by a method with its settings."""

from __future__ import annotations

import dataclasses
from dataclasses import asdict, dataclass, replace

from subjects import SUBJECTS


@dataclass(frozen=True)
class Grid:
    bits: int
    group_size: int = 0  # 0: a scale for each output channel
    symmetric: bool = True
    target_bits: float = 0  # the mean of widths up to ``bits``, scales counted; 0: ``bits`` everywhere
    gguf: str = ""  # the type of llama.cpp's file that has this grid
    layers: str = "*"  # a glob over the paths of the layers
    floats: str = ""  # "mxfp4" or "nvfp4": codes are floats of 4 bits, a group's scale is one of 8 bits
    activation_bits: int = 0  # of the layers' inputs, in one static range each; 0: full precision

    def name(self) -> str:
        if self.gguf:
            return f"gguf:{self.gguf}" + ("" if self.layers == "*" else f" of {self.layers.strip('*.')}")
        if self.floats:
            return self.floats.upper()
        scales = f"groups of {self.group_size}" if self.group_size else "per channel"
        bits = f"Mean of {self.target_bits:g} bits" if self.target_bits else f"W{self.bits}"
        activations = f"A{self.activation_bits}" if self.activation_bits else ""
        return f"{bits}{activations} {scales}" + ("" if self.symmetric else ", asymmetric")

    def key(self) -> str:
        if self.gguf:
            return self.gguf.lower().replace("_", "") + self.layers.strip("*").replace(".", "_")
        if self.floats:
            return self.floats
        scales = f"g{self.group_size}" if self.group_size else "pc"
        bits = f"mean{self.target_bits:g}" if self.target_bits else f"w{self.bits}"
        activations = f"a{self.activation_bits}" if self.activation_bits else ""
        return f"{bits}{activations}_{scales}" + ("" if self.symmetric else "_asym")


# Always in a cell's stamp. A grid's other fields came later, and are left out at their defaults.
STAMPED = ("bits", "group_size", "symmetric")


@dataclass(frozen=True)
class Cell:
    grid: Grid
    method: str
    variant: str
    iterations: int = 0  # of a block; 0: the method has none
    samples: int = 1  # rows in a batch
    rows: int = SUBJECTS["smollm2"].rows  # for calibration
    model: str = "smollm2"  # of subjects.SUBJECTS
    seed: int = 0  # of the method, and of the rows' order; 0: as they are
    device: str = "cpu"  # of torch

    def key(self) -> str:
        budget = f"{self.iterations}x{self.samples}of{self.rows}" if self.iterations else f"{self.rows}"
        seed = f"-seed{self.seed}" if self.seed else ""
        device = "" if self.device == "cpu" else f"-{self.device}"
        return f"{self.model}-{self.grid.key()}-{self.method}-{self.variant}-{budget}{seed}{device}"

    def budget(self) -> str:
        """As people read it."""
        rows = "" if self.rows == SUBJECTS[self.model].rows else f" of {self.rows} rows"
        seed = f", seed {self.seed}" if self.seed else ""
        return (f"{self.iterations} x {self.samples}{rows}" if self.iterations else f"-{rows}") + seed

    def as_json(self) -> dict[str, object]:
        fields = asdict(self)
        for field in dataclasses.fields(Grid):
            if field.name not in STAMPED and fields["grid"][field.name] == field.default:
                del fields["grid"][field.name]
        return fields


Pair = tuple[Cell, Cell]
W4, W3, W2 = Grid(4), Grid(3), Grid(2)
W4A8 = Grid(4, activation_bits=8)
W4_G128, W4_G64 = Grid(4, 128), Grid(4, 64)  # of MiniLM: SmolLM2 comes from a file of 4 bits in groups
W3_G64, W2_G64 = Grid(3, 64, symmetric=False), Grid(2, 64, symmetric=False)
# W4 and W3 per channel are 4.05 and 3.05 bits with their scales of 32.
MEAN_4, MEAN_35, MEAN_3 = (Grid(8, target_bits=bits) for bits in (4.0, 3.5, 3.0))
# EfficientNet's is 4.153 with them: channels of depthwise convolutions have 9 or 25 weights.
MEAN_415 = Grid(8, target_bits=4.15)


# SmolLM2's rows of 576 have no K-quants, those of its down projections have.
Q4_0 = Grid(4, 32, gguf="Q4_0")
K_QUANTS = [
    Grid(bits, group_size, symmetric=bits == 3, gguf=name, layers="*.down_proj")
    for bits, group_size, name in ((4, 32, "Q4_K"), (3, 16, "Q3_K"), (2, 16, "Q2_K"))
]

MXFP4, NVFP4 = Grid(4, 32, floats="mxfp4"), Grid(4, 16, floats="nvfp4")

MANY_ROWS = 512  # 200 x 4 sees each at most twice
MORE_ROWS = 256  # 200 x 2 draws each at most twice for a block
MORE_ITERATIONS = 1000  # of models whose cells take minutes
MORE_SEEDS = (1, 2)  # of the two cells of a grid that decide


def _on_more_rows(grid: Grid) -> Cell:
    return Cell(grid, "adascale", "best", 200, samples=2, rows=MORE_ROWS)


def _at_equal_cost(grid: Grid) -> Cell:
    """`best` in about the seconds of its peer at 200 x 4 on 64 rows. That of asymmetric grids is faster."""
    return _on_more_rows(grid) if grid.symmetric else replace(_on_more_rows(grid), rows=128)


def _cells_of(grid: Grid) -> list[Cell]:
    best = Cell(grid, "adascale", "best", 200, samples=4)
    # Asymmetric grids of integers are AutoRound's own, and none of AIMET's.
    peer = Cell(grid, "auto_round", "alg_ext" if grid.symmetric else "default", 200, samples=4)
    cells = [
        Cell(grid, "adascale", "rtn"),
        Cell(grid, "adascale", "clip"),
        Cell(grid, "adascale", "fast", 64, rows=16),  # in about GPTQ's seconds
        Cell(grid, "adascale", "fast", 200),
        Cell(grid, "adascale", "best", 200),
        Cell(grid, "adascale", "fast", 200, samples=4),
        best,
        replace(best, rows=MANY_ROWS),
        Cell(grid, "llm_compressor", "actorder_weight", samples=4),
        Cell(grid, "auto_round", "default", 200, samples=4),
        _at_equal_cost(grid),
    ]
    if grid.symmetric:
        cells.append(peer)
        if not grid.group_size:
            cells.append(Cell(grid, "aimet", "adascale", 200))
    cells.append(replace(peer, rows=MANY_ROWS))
    return cells + [replace(cell, seed=seed) for cell in (best, peer) for seed in MORE_SEEDS]


def _cells_of_floats(grid: Grid) -> list[Cell]:
    """The last stage of `best` does not train their scales."""
    return [
        Cell(grid, "adascale", "rtn"),
        Cell(grid, "adascale", "fast", 200),
        Cell(grid, "adascale", "fast", 200, samples=4),
        Cell(grid, "llm_compressor", "actorder_weight", samples=4),
        Cell(grid, "auto_round", "default", 200, samples=4),
        Cell(grid, "auto_round", "alg_ext", 200, samples=4),
    ]


def _cells_of_gguf(grid: Grid) -> list[Cell]:
    return [
        Cell(grid, "adascale", "rtn"),
        Cell(grid, "adascale", "clip"),
        Cell(grid, "adascale", "fast", 200),
        Cell(grid, "adascale", "best", 200),
        Cell(grid, "adascale", "best", 200, samples=4),
        _on_more_rows(grid),
        Cell(grid, "adascale", "best", 200, samples=4, rows=MANY_ROWS),
        Cell(grid, "llama_cpp", "imatrix"),
        Cell(grid, "llama_cpp", "imatrix", rows=MORE_ROWS),
    ]


def _cells_of_gemma3(grid: Grid) -> list[Cell]:
    cells = [
        Cell(grid, "adascale", "rtn"),
        Cell(grid, "adascale", "fast", 200),
        Cell(grid, "adascale", "best", 200),
        Cell(grid, "adascale", "best", 200, samples=4),
        Cell(grid, "llm_compressor", "actorder_weight", samples=4),
        Cell(grid, "auto_round", "default", 200, samples=4),
        Cell(grid, "auto_round", "alg_ext", 200, samples=4),
    ]
    return [replace(cell, model="gemma3", rows=SUBJECTS["gemma3"].rows) for cell in cells]


def _cells_of_encoder(grid: Grid) -> list[Cell]:
    """A batch has as many tokens as one of four of the decoder's rows. AIMET's cells are per channel."""
    cells = [
        Cell(grid, "adascale", "rtn", samples=16),
        Cell(grid, "adascale", "clip", samples=16),
        Cell(grid, "llm_compressor", "actorder_weight", samples=16),
    ]
    for iterations in (200, MORE_ITERATIONS):
        cells += [
            Cell(grid, "adascale", "fast", iterations, samples=16),
            Cell(grid, "adascale", "best", iterations, samples=16),
            Cell(grid, "auto_round", "default", iterations, samples=16),
            Cell(grid, "auto_round", "alg_ext", iterations, samples=16),
        ]
        if not grid.group_size:
            cells.append(Cell(grid, "aimet", "adascale", iterations, samples=16))
    return [replace(cell, model="minilm", rows=SUBJECTS["minilm"].rows) for cell in cells]


def _cells_of_classifier(grid: Grid) -> list[Cell]:
    """An iteration of AdaRound is of one layer: in 200, at its rate, few weights could change their code."""
    cells = [
        Cell(grid, "adascale", "rtn", samples=16),
        Cell(grid, "adascale", "clip", samples=16),
        Cell(grid, "aimet", "adaround", 500, samples=32),
    ]
    for iterations in (200, MORE_ITERATIONS):
        cells += [
            Cell(grid, "adascale", "fast", iterations, samples=16),
            Cell(grid, "adascale", "best", iterations, samples=16),
            Cell(grid, "aimet", "adascale", iterations, samples=16),
        ]
    return [replace(cell, model="efficientnet", rows=SUBJECTS["efficientnet"].rows) for cell in cells]


def _cells_of_digits(model: str, grid: Grid) -> list[Cell]:
    """So small that AIMET's methods get the iterations that are their defaults."""
    cells = [
        Cell(grid, "adascale", "rtn"),
        *(Cell(grid, "adascale", recipe, n, samples=16) for n in (200, 1500) for recipe in ("fast", "best")),
        Cell(grid, "aimet", "adaround", 15000, samples=32),
        Cell(grid, "aimet", "adascale", 1500, samples=16),
    ]
    return [replace(cell, model=model, rows=SUBJECTS[model].rows) for cell in cells]


def _cells_of_activations(model: str) -> list[Cell]:
    peers = [Cell(W4A8, "aimet", "adascale", 200, samples=16)]
    if model == "minilm":
        peers.append(Cell(W4A8, "llm_compressor", "actorder_weight", samples=16))
    cells = [
        Cell(W4A8, "adascale", "rtn", samples=16),
        Cell(W4A8, "adascale", "fast", 200, samples=16),
        Cell(W4A8, "adascale", "best", 200, samples=16),
        *peers,
    ]
    return [replace(cell, model=model, rows=SUBJECTS[model].rows) for cell in cells]


def _on_a_gpu(cells: list[Cell]) -> list[Cell]:
    """Those whose methods are made for one."""
    return [replace(cell, device="cuda") for cell in cells if cell.method in ("adascale", "auto_round")]


def _cells_of_target(grid: Grid, model: str, samples: int, recipes: tuple[str, ...]) -> list[Cell]:
    clip = Cell(grid, "adascale", "clip", samples=samples, model=model, rows=SUBJECTS[model].rows)
    return [clip, *(replace(clip, variant=recipe, iterations=200) for recipe in recipes)]


_ON_A_CPU = [
    *(cell for grid in (W4, W3, W3_G64, W2_G64) for cell in _cells_of(grid)),
    *(cell for grid in (MEAN_4, MEAN_35, MEAN_3) for cell in _cells_of_target(grid, "smollm2", 1, ("fast",))),
    *(cell for grid in (MXFP4, NVFP4) for cell in _cells_of_floats(grid)),
    *(cell for grid in (Q4_0, *K_QUANTS) for cell in _cells_of_gguf(grid)),
    *(cell for grid in (W3, W2) for cell in _cells_of_gemma3(grid)),
    *(cell for grid in (W4, W4_G128, W4_G64, W3) for cell in _cells_of_encoder(grid)),
    *_cells_of_target(MEAN_4, "minilm", 16, ("fast", "best")),
    *_cells_of_activations("minilm"),
    *_cells_of_classifier(W4),
    *_cells_of_target(MEAN_415, "efficientnet", 16, ("fast", "best")),
    *_cells_of_activations("efficientnet"),
    *(cell for model in ("digits_cnn", "digits_vit") for cell in _cells_of_digits(model, W2)),
]
ALL = _ON_A_CPU + _on_a_gpu(_ON_A_CPU)
_CORE_GRIDS = {"smollm2": (W4, W3, W3_G64, W2_G64), "minilm": (W4, W3), "efficientnet": (W4,)}


def _is_core(cell: Cell) -> bool:
    """Whether a plain run measures it: what decides between methods, in hours rather than days."""
    return (
        cell.grid in _CORE_GRIDS.get(cell.model, ())
        and cell.iterations != MORE_ITERATIONS
        and cell.rows <= SUBJECTS[cell.model].rows
        and not cell.seed
        and (cell.variant, cell.samples) != ("fast", 4)
    )


CORE = [cell for cell in ALL if _is_core(cell)]
_GPTQ, _DEFAULT, _ALG_EXT, _AIMET, _IMATRIX = (
    ("llm_compressor", "actorder_weight", 0, 4),
    ("auto_round", "default", 200, 4),
    ("auto_round", "alg_ext", 200, 4),
    ("aimet", "adascale", 200, 1),
    ("llama_cpp", "imatrix", 0, 1),
)
_CLIP, _FAST_16 = ("clip", 0, 1), ("fast", 64, 1)
_FAST, _BEST, _BEST_4 = ("fast", 200, 1), ("best", 200, 1), ("best", 200, 4)


def _beside(grid: Grid, ours: tuple[str, int, int], peer: tuple[str, str, int, int], seed: int = 0) -> Pair:
    own = Cell(grid, "adascale", *ours, rows=16 if ours == _FAST_16 else 64, seed=seed)
    return own, Cell(grid, *peer, seed=seed)


_DECIDING = ((W4, _ALG_EXT), (W3, _ALG_EXT), (W3_G64, _DEFAULT), (W2_G64, _DEFAULT))
# Of the short table: a cell of ours, and the peer's beside it.
COMPARED: list[Pair] = [
    *(_beside(grid, ours, _GPTQ) for ours in (_CLIP, _FAST_16) for grid in (W4, W3, W3_G64, W2_G64)),
    *(_beside(grid, _FAST, _AIMET) for grid in (W4, W3)),
    *(_beside(grid, ours, _DEFAULT) for grid in (W4, W3) for ours in (_FAST, _BEST)),
    *(_beside(grid, _BEST, _ALG_EXT) for grid in (W4, W3)),
    *(_beside(grid, _BEST, _DEFAULT) for grid in (W3_G64, W2_G64)),
    *(_beside(grid, _BEST_4, peer, seed=seed) for grid, peer in _DECIDING for seed in (0, *MORE_SEEDS)),
    *((_at_equal_cost(grid), Cell(grid, *peer)) for grid, peer in _DECIDING),
    *(
        (Cell(grid, "adascale", *_BEST_4, rows=MANY_ROWS), Cell(grid, *peer, rows=rows))
        for grid, peer in _DECIDING
        for rows in (64, MANY_ROWS)
    ),
    # Q4_K's KL is in the third decimal.
    *(_beside(grid, ours, _IMATRIX) for grid in (Q4_0, *K_QUANTS[1:]) for ours in (_FAST, _BEST)),
    *((_on_more_rows(grid), Cell(grid, "llama_cpp", "imatrix", rows=MORE_ROWS)) for grid in K_QUANTS[1:]),
]
_QUICK = [
    Cell(W3, "adascale", "fast", 4, rows=4),
    Cell(W3, "llm_compressor", "actorder_weight", rows=4),
    Cell(W3, "auto_round", "default", 4, rows=4),
    Cell(W4A8, "adascale", "fast", 4, samples=4, rows=8, model="minilm"),
    Cell(W4A8, "llm_compressor", "actorder_weight", samples=4, rows=8, model="minilm"),
    Cell(W4A8, "aimet", "adascale", 4, samples=4, rows=8, model="minilm"),
    Cell(W4, "adascale", "fast", 4, samples=4, rows=8, model="efficientnet"),
    Cell(W4, "aimet", "adascale", 4, samples=4, rows=8, model="efficientnet"),
    Cell(W2, "aimet", "adaround", 4, samples=32, rows=64, model="digits_vit"),
    Cell(W2, "adascale", "best", 4, samples=4, rows=16, model="digits_cnn"),
]
QUICK = _QUICK + _on_a_gpu(_QUICK)
# One block for 20 iterations: how fast a machine is, in what every peer's user knows.
REFERENCE = Cell(W4, "auto_round", "default", 20, samples=4, rows=8, model="one_block")
