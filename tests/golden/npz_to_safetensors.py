"""Rewrites a .npz of golden numbers as .safetensors for the C++ tests: npz_to_safetensors.py IN OUT."""

import sys

import numpy as np
from safetensors.numpy import save_file

with np.load(sys.argv[1]) as golden:
    save_file({name: golden[name] for name in golden.files}, sys.argv[2])
