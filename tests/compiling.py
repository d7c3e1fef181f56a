"""An experiment's beginning, timed: initial state, first update and evaluation, each compiled.

As a program of its own, so that one which never ends can be stopped:

    PYTHONPATH=. python tests/compiling.py --config=experiments/lstm.py [--config.KEY=VALUE …]

prints a line of JSON: seconds of this process's processor time, by what they went to.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

# Of processor time, for imports, data, compilation and one update together.
CPU_SECONDS = 240


def reference() -> float:
    """Seconds of processor time to compile the gradient of eight layers, each of its own width.

    By it machines compare, and the same one from hour to hour.
    """
    import jax
    import jax.numpy as jnp

    def loss(layers: list[jax.Array], x: jax.Array) -> jax.Array:
        for layer in layers:
            x = jnp.tanh(x @ layer)
            x = (x - x.mean(-1, keepdims=True)) / (1 + x.var(-1, keepdims=True))
        return (x**2).sum()

    widths = range(32, 41)
    layers = [jax.ShapeDtypeStruct((i, i + 1), jnp.float32) for i in widths[:-1]]
    program = jax.jit(jax.grad(loss))
    began = time.process_time()
    program.lower(layers, jax.ShapeDtypeStruct((8, widths[0]), jnp.float32)).compile()
    return time.process_time() - began


def begin(argv: list[str]) -> dict[str, float]:
    """Begins the experiment that the launcher's flags ``argv`` name.

    Returns:
      {what: seconds of processor time}: "init" compiles and runs the initial state; "update"
      compiles one update and "run" runs it; "evaluate" compiles all that evaluation runs;
      "reference" is of `reference`.
    """
    import jax
    import numpy as np

    from jaxdl import experiment
    from jaxdl.launch import flags
    from jaxdl.train import advance
    from jaxdl.train.evaluate import Evaluator

    made = experiment.create(flags.parse(argv).config)
    layout, task, spent = made.layout, made.task, {}

    def timed(name: str, f: Callable[[], Any]) -> Any:
        began = time.process_time()
        found = f()
        spent[name] = time.process_time() - began
        return found

    spent["reference"] = reference()
    state = timed("init", lambda: jax.block_until_ready(made.init_state()))
    put = lambda x: jax.device_put(x, layout.replicated)
    window = jax.tree.map(lambda x: put(np.zeros(x.shape, x.dtype)), made.abstract_window)
    carry = advance.Carry(
        state, put(np.zeros(made.key.shape, np.int32)), window, put(np.ones(made.key.shape, bool))
    )
    arguments = (carry, made.key, made.stacked([0]), np.int32(1))
    program = timed("update", lambda: layout.compile(advance.create(task, made.chunks), arguments))
    carry, status = timed("run", lambda: jax.block_until_ready(program(*arguments)))
    assert status.step.sum() == status.step.size, "a number of the first update is not finite"
    if made.run.data.test is not None and not made.members:
        timed("evaluate", lambda: Evaluator(made).compile(made.abstract_state))
    return spent


def main(argv: list[str]) -> None:
    """Without a cache, and with an end: a process that used up its seconds is killed."""
    from jaxdl import process

    process.tune()
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    print(json.dumps(begin(argv)))


if __name__ == "__main__":
    main(sys.argv[1:])
