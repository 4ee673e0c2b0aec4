"""Exports small models of many architectures, for blocks_zoo_test.cpp.

    python make_zoo.py plain|transformers FOLDER

Without ADASCALE_TEST_FULL in the environment, those alone that are not slow. Exits with 77 when transformers
is missing.
"""

import logging
import os
import sys
import warnings

import torch
from zoo_plain import PLAIN
from zoo_transformers import TRANSFORMERS

TRANSFORMERS_MISSING = 77
# Their capture takes seconds to minutes, or they have the same blocks as a faster one.
SLOW = {
    *("mistral", "phi3", "qwen2", "qwen3", "qwen3moe", "whisper", "swin", "clip", "mobilenet"),
    *("efficientnet", "densenet_4blocks", "unet_updown", "diffusion", "crnn", "tcn_weightnorm"),
}


def make_plain(name):
    model, *inputs = PLAIN[name]()
    return model, tuple(inputs), {}


def make_transformers(name):
    import transformers

    config, model, settings, inputs = TRANSFORMERS[name]
    return getattr(transformers, model)(getattr(transformers, config)(**settings)), (), inputs


def dynamic_shapes(args, kwargs):
    """Batch and, of token tensors, length are free."""

    def of(x):
        if not isinstance(x, torch.Tensor):
            return None
        axes = (0, 1) if x.dtype == torch.long else (0,)
        return dict.fromkeys(axes, torch.export.Dim.AUTO)

    return tuple(of(x) for x in args) if args else {name: of(x) for name, x in kwargs.items()}


def export(name, make, path):
    torch.manual_seed(0)
    model, args, kwargs = make(name)
    shapes = dynamic_shapes(args, kwargs) if name.endswith("_dynamic") else None
    program = torch.export.export(model.eval(), args, kwargs, strict=False, dynamic_shapes=shapes)
    torch.export.save(program, path)


def be_quiet():
    os.environ["TRANSFORMERS_VERBOSITY"] = "error"
    warnings.filterwarnings("ignore")
    logging.disable(logging.CRITICAL)


def main(group, folder):
    be_quiet()
    torch.set_num_threads(1)
    names, make = (PLAIN, make_plain) if group == "plain" else (TRANSFORMERS, make_transformers)
    if group == "transformers":
        try:
            import transformers  # noqa: F401
        except ImportError:
            return TRANSFORMERS_MISSING
    os.makedirs(folder, exist_ok=True)
    for name in names:
        if name in SLOW and "ADASCALE_TEST_FULL" not in os.environ:
            continue
        export(name, make, os.path.join(folder, name + ".pt2"))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
