"""Keys of ours against JAX's own: the same numbers, sooner on a CPU.

    python -m benchmarks.keys [--model=resnet18] [--repeats=3]

Seconds, medians of fresh compilations: a program that draws, alone and of 32 keys under `vmap`, and
one that makes all parameters of a model, to compile; two million normals, to run.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np


def median_seconds(repeats: int, prepare: Callable[..., Callable[[], object]], root: Any) -> float:
    """Of what ``prepare(root)`` returns, made anew each time."""
    found = []
    for _ in range(repeats):
        run = prepare(root)
        began = time.perf_counter()
        run()
        found.append(time.perf_counter() - began)
    return float(np.median(found))


def main() -> None:
    """Prints a table, a line each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet18", help="one of jaxdl.models, of images")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    from jaxdl import process

    process.tune()
    import jax
    import jax.numpy as jnp

    from jaxdl import keys, models

    jax.config.update("jax_enable_compilation_cache", False)
    module, image = models.create(options.model), jnp.zeros((1, 64, 64, 3))
    draw = lambda key: jax.random.randint(key, (64, 2), 0, 5)
    normals = jax.jit(lambda key: jax.random.normal(key, (2_000_000,)))
    # A function of its own each time, or JAX would know the program.
    compiling = lambda f, key: jax.jit(lambda key: f(key)).lower(key).compile

    def running(key: jax.Array) -> Callable[[], object]:
        normals(key).block_until_ready()
        return lambda: normals(key).block_until_ready()

    rows = {
        "compile a draw of integers": lambda root: compiling(draw, root(0)),
        "compile 32 of them": lambda root: compiling(
            jax.vmap(draw), jnp.stack([root(i) for i in range(32)])
        ),
        f"compile the parameters of {options.model}": lambda root: compiling(
            lambda key: module.init(key, image), root(0)
        ),
        "two million normals": lambda root: running(root(0)),
    }
    print("| | jax.random.key | keys.root |")
    print("|---|---|---|")
    for name, prepare in rows.items():
        theirs, ours = (
            median_seconds(options.repeats, prepare, root) for root in (jax.random.key, keys.root)
        )
        print(f"| {name} | {theirs:.4f} | {ours:.4f} |", flush=True)


if __name__ == "__main__":
    main()
