"""Texts that are written by random weights: T5 small greedily, BART base by beams."""

import functools
from typing import Any, NamedTuple

from benchmarks.language.job import Job, Row

NEW = 64


class Workload(NamedTuple):
    """What is written: 64 tokens, of sources of 32.

    Attributes:
      model: "t5" (small) or "bart" (base).
      batch: sources.
      beams: 1 is greedy.
    """

    model: str
    batch: int
    beams: int


def _source(batch: int) -> Any:
    import numpy as np

    return np.random.default_rng(0).integers(3, 20_000, (batch, 32))


def ours(workload: Workload, folder: str) -> Job:
    """By the weights that the other side left in the folder."""
    import numpy as np

    from jaxdl import generate, pretrained

    module, variables = pretrained.load(folder)
    source = _source(workload.batch)
    start = pretrained.generation(folder).start(workload.batch)
    # Padding is looked after on both sides, and there is none.
    how = dict(tokens=NEW, source=source, source_mask=np.ones_like(source))

    def write() -> list:
        if workload.beams == 1:
            return np.asarray(generate.greedy(module, variables, start, **how)).tolist()
        texts, _ = generate.beam_search(
            module, variables, start, beams=workload.beams, returned=1, length_penalty=1.0,
            early_stopping=False, **how,
        )  # fmt: skip
        return np.asarray(texts[:, 0]).tolist()

    return Job(write)


def theirs(workload: Workload, folder: str) -> Job:
    """transformers' generate, with its cache; leaves its weights in the folder."""
    import torch
    import transformers

    torch.manual_seed(0)
    if workload.model == "t5":
        config = transformers.T5Config(decoder_start_token_id=0)
        model = transformers.T5ForConditionalGeneration(config).eval()
    else:
        sizes = {f"{side}_{what}": n for side in ("encoder", "decoder") for what, n in
                 dict(layers=6, attention_heads=12, ffn_dim=3072).items()}  # fmt: skip
        config = transformers.BartConfig(d_model=768, forced_eos_token_id=None, **sizes)
        model = transformers.BartForConditionalGeneration(config).eval()
    model.save_pretrained(folder)
    model.generation_config.eos_token_id = None  # every text is as long as there is room
    source = torch.from_numpy(_source(workload.batch))
    mask = torch.ones_like(source)

    def write() -> list:
        with torch.inference_mode():
            found = model.generate(
                source, attention_mask=mask, max_new_tokens=NEW, do_sample=False,
                num_beams=workload.beams,
            )  # fmt: skip
        return found[:, 1:].tolist()

    return Job(write)


def agreement(ours: list[list[int]], theirs: list[list[int]]) -> tuple[bool, str]:
    """The share of tokens that are the same.

    Of random weights the likeliest tokens are often nearly equal, so that a text may part from the
    other's: half is asked for.
    """
    same = [a == b for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True)]
    share = sum(same) / len(same)
    return share >= 0.5, f"{share:.0%} of tokens the same"


def row(title: str, workload: Workload) -> Row:
    """A comparison; the others begin, since the weights are theirs."""
    begin = {"eager": theirs, "ours": ours}
    sides = {name: functools.partial(make, workload) for name, make in begin.items()}
    return Row(f"{title}, sources of 32, {NEW} new tokens", sides, agreement)


ROWS = {
    "t5_greedy_1": row("T5 small, greedy, batch 1", Workload("t5", 1, 1)),
    "t5_greedy_8": row("T5 small, greedy, batch 8", Workload("t5", 8, 1)),
    "bart_beams_4": row("BART base, 4 beams, batch 1", Workload("bart", 1, 4)),
}
