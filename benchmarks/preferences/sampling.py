"""64 answers of 64 tokens by a GPT of 11 M parameters, beside transformers.

    python -m benchmarks.preferences.sampling [--size=64] [--rounds=11] [--torch-python=PATH]

``size`` prompts of 64 tokens are answered at once, each token drawn from the model's own
probabilities, with the cache on both sides. Both begin with the same weights; what the likeliest
answers are, token for token, is compared first. Prints the medians, and of the rounds' ratios.
"""

import sys
from pathlib import Path

import numpy as np

from benchmarks import paired
from benchmarks.preferences import network

PROMPT, TOKENS = 64, 64


def main() -> int:
    """Runs the command line; 1 if the sides disagree."""
    return paired.main(
        "benchmarks.preferences.sampling",
        ours,
        theirs,
        size=64,
        agree=0.0,
        what="the likeliest answer, by its tokens,",
        of="all answers",
    )


def prompts(size: int) -> np.ndarray:
    """(size, PROMPT) int32."""
    return np.random.default_rng(0).integers(0, network.END, (size, PROMPT)).astype(np.int32)


def ours(file: Path, size: int) -> paired.Side:
    """Our side, whose first weights are written beside ``file``."""
    import jax

    from jaxdl import generate, keys

    module, variables = network.ours(file.parent / "start")
    prompt, key = prompts(size), keys.root(0)
    likeliest = lambda: generate.greedy(module, variables, prompt[:1], tokens=TOKENS)[0].tolist()
    write = lambda: generate.sample(module, variables, prompt, key, tokens=TOKENS)
    return likeliest, lambda: jax.block_until_ready(write())


def theirs(file: Path, size: int) -> paired.Side:
    """The same by transformers."""
    import torch
    from transformers import GPT2LMHeadModel

    model = GPT2LMHeadModel.from_pretrained(file.parent / "start").eval()
    prompt = torch.from_numpy(prompts(size)).long()
    how = dict(max_new_tokens=TOKENS, min_new_tokens=TOKENS, top_k=0, pad_token_id=network.END)

    @torch.inference_mode()
    def write(prompt: torch.Tensor, do_sample: bool) -> torch.Tensor:
        mask = torch.ones_like(prompt)
        return model.generate(prompt, attention_mask=mask, do_sample=do_sample, **how)[:, PROMPT:]

    return lambda: write(prompt[:1], False)[0].tolist(), lambda: write(prompt, True)


if __name__ == "__main__":
    sys.exit(main())
