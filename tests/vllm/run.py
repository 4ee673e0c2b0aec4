"""Runs a packed folder in vLLM's engine on a CPU; runs in vLLM's environment.

``python run.py FOLDER DTYPE TOKENS OUT``: OUT gets log probabilities [tokens, vocabulary].
"""

import os
import sys

os.environ |= {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GB
    "VLLM_CPU_INT4_W4A8": "0",  # by default it rounds activations to 8 bits where the CPU has AMX
    "TORCHDYNAMO_DISABLE": "1",  # compiling takes a minute
}

import torch
from safetensors.torch import save_file
from vllm import LLM, SamplingParams
from vllm.inputs import TokensPrompt


def log_probabilities(folder: str, dtype: str, tokens: list[int]) -> torch.Tensor:
    torch.cpu._init_amx()  # without, the kernel for 16-bit activations ends in an illegal instruction
    llm = LLM(folder, dtype=dtype, enforce_eager=True, max_model_len=64, max_num_seqs=2, max_logprobs=-1)
    options = SamplingParams(max_tokens=1, temperature=0, prompt_logprobs=-1, logprobs=-1)
    answer = llm.generate([TokensPrompt(prompt_token_ids=tokens)], options, use_tqdm=False)[0]
    rows = [*answer.prompt_logprobs[1:], *answer.outputs[0].logprobs]
    return torch.tensor([[row[token].logprob for token in range(len(row))] for row in rows])


if __name__ == "__main__":
    folder, dtype, tokens, out = sys.argv[1:]
    save_file({"log_probabilities": log_probabilities(folder, dtype, list(map(int, tokens.split(","))))}, out)
