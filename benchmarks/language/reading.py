"""How long a token takes at least: its weights are read from memory once, however few texts.

    python -m benchmarks.language.reading [--threads=2]

Prints how fast so many threads read memory here, and what that makes of 64 tokens of each model of
`benchmarks.language.writing`, whose weights no cache holds. The encoder, cross-attention's keys and
values and the tokens' own come on top.
"""

import argparse
import re
import time
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np

from benchmarks import machine
from benchmarks.language.writing import NEW
from jaxdl import keys, models
from jaxdl.trees import leaf_names

# Of a name with its model's "/": read for every token. Of the encoder's keys and values nothing is
# projected again, and of a table of positions a row is read.
_READ = re.compile(r"token/embedding$|decoder_(?!position)(?!.*cross_attention/(key|value)/)")

_MEGABYTES, _TIMES = 512, 9


def weights(name: str) -> int:
    """Numbers that a model reads for every token that it writes."""
    module, text = models.create(name), jax.ShapeDtypeStruct((1, 2), np.int32)
    shapes = jax.eval_shape(module.init, keys.root(0), text, text)["params"]
    named = zip(leaf_names(shapes), jax.tree.leaves(shapes), strict=True)
    return sum(x.size for name, x in named if _READ.match(name))


def rate(threads: int, megabytes: int = _MEGABYTES) -> float:
    """Bytes a second that so many threads read together, the best of several times."""
    parts = np.split(np.ones(megabytes * 250_000 // threads * threads, np.float32), threads)
    best = np.inf
    with ThreadPoolExecutor(threads) as pool:
        for _ in range(_TIMES):
            began = time.perf_counter()
            list(pool.map(np.max, parts))
            best = min(best, time.perf_counter() - began)
    return sum(part.nbytes for part in parts) / best


def main() -> None:
    """Runs the command line."""
    parser = argparse.ArgumentParser("benchmarks.language.reading")
    parser.add_argument("--threads", type=int, default=machine.cores())
    threads = parser.parse_args().threads
    machine.say_if_busy()
    read = rate(threads)
    print(f"{threads} threads read {read / 1e9:.1f} GB/s")
    for name in ("t5_small", "bart_base"):
        size = 4 * weights(name)
        print(f"{name}: {size / 1e6:.0f} MB a token, {NEW} tokens in {NEW * size / read:.3f} s")


if __name__ == "__main__":
    main()
