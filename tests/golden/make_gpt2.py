"""Writes gpt2/: a small GPT-2 of random weights as transformers saves it, and what it answers.

    pip install torch==2.13.0 transformers
    python tests/golden/make_gpt2.py

config.json and model.safetensors by ``save_pretrained``; expected.npz, of the same weights in
float64: logits of some tokens, and a greedy continuation of each of some prompts.
"""

from pathlib import Path

import numpy as np
import torch
import transformers

FOLDER = Path(__file__).with_name("gpt2")
PROMPT, LENGTH = 7, 32


def main():
    torch.manual_seed(0)
    config = transformers.GPT2Config(
        vocab_size=61,
        n_positions=LENGTH,
        n_embd=24,
        n_layer=2,
        n_head=3,
        bos_token_id=0,
        eos_token_id=0,
        attn_implementation="eager",
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    # Far from where training starts, so that every parameter tells; and with strong positions, or
    # the continuations repeat one token.
    for name, parameter in model.named_parameters():
        spread = 1.0 if ".wpe." in name else 0.3 if parameter.ndim > 1 else 0.2
        centre = 1.0 if ".ln_" in name and name.endswith("weight") else 0.0
        torch.nn.init.normal_(parameter, centre, spread)
    model.save_pretrained(FOLDER)
    (FOLDER / "generation_config.json").unlink()
    (FOLDER / "model.safetensors").chmod(0o644)

    tokens = torch.randint(config.vocab_size, (3, LENGTH))
    model = model.double()
    with torch.no_grad():
        logits = model(tokens).logits
        texts = tokens[:, :PROMPT]
        while texts.shape[1] < LENGTH:
            last = model(texts).logits[:, -1]
            best = last.topk(2).values
            assert (best[:, 0] - best[:, 1]).min() > 1e-3, "a tie that rounding could break"
            texts = torch.cat([texts, last.argmax(-1, keepdim=True)], 1)
    np.savez_compressed(
        FOLDER / "expected.npz",
        made_with=f"torch {torch.__version__}, transformers {transformers.__version__}",
        tokens=tokens.numpy().astype(np.int32),
        logits=logits.numpy().astype(np.float32),
        texts=texts.numpy().astype(np.int32),
    )


if __name__ == "__main__":
    main()
