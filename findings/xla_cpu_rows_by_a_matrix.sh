#!/usr/bin/env bash
# jax 0.12.0.1 on a CPU: a few rows by a matrix take twice the time of the same product transposed.
# Expected: x (8, 768) by W (768, 3072) reads the 9 MB of W once, as a product of W, stored transposed,
# and x does: writing texts of a batch of 8, or by 4 beams, is little else.
# Seen: with 4 to 8 rows 3 to 6 ms for six such matrices, and 1.7 to 2.1 ms as W.T x.T (two threads of
# an Intel Xeon; YNNPACK, of which XLA makes these products; jax 0.10.2 the same). A barrier has to
# stand before the transposition back, or XLA turns the product round again. Of one row both are fast.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.12.0.1 jaxlib==0.12.0.1
cat > "$folder/rows.py" <<'PY'
import time

import jax
import jax.numpy as jnp
import numpy as np

rng = np.random.default_rng(0)
draw = lambda *shape: jnp.asarray(rng.standard_normal(shape), jnp.float32)
kernels, x = [draw(768, 3072) for _ in range(6)], draw(8, 768)
turned = [jnp.asarray(np.asarray(kernel).T.copy()) for kernel in kernels]


def straight(x, kernel):
    return x @ kernel


def around(x, kernel):
    product = jax.lax.dot_general(kernel, x, (((1,), (1,)), ((), ())))
    return jax.lax.optimization_barrier(product).T


def all_of(product):
    def run(x, kernels):
        y = 0.0
        for kernel in kernels:  # one after the other, as layers are
            y = product(x + y * 1e-9, kernel)[:, :768]
        return y

    return jax.jit(run)


runs = {"rows by matrices": (all_of(straight), kernels), "turned round": (all_of(around), turned)}
found = [np.asarray(run(x, given)) for run, given in runs.values()]
np.testing.assert_allclose(found[0], found[1], rtol=1e-3, atol=1e-3)
seconds = {name: [] for name in runs}
for _ in range(60):
    for name, (run, given) in runs.items():
        began = time.perf_counter()
        jax.block_until_ready(run(x, given))
        seconds[name].append(time.perf_counter() - began)
middle = {name: float(np.median(times)) for name, times in seconds.items()}
print({name: f"{1e3 * value:.2f} ms" for name, value in middle.items()})
assert middle["rows by matrices"] > 1.4 * middle["turned round"], "this has changed"
PY
JAX_PLATFORMS=cpu "$folder/env/bin/python" "$folder/rows.py"
