#!/usr/bin/env bash
# jax 0.12.0.1 on a CPU: stacking a few strided slices of a small array takes seconds to compile.
# Expected: some 50 ms, as any program of a slice and a copy, whatever the sizes are.
# Seen: six slices of every fourth row of (6, 2, 18, 4, 96), stacked for a product, take LLVM 2 to 4 s
# in one kernel: it unrolls the loops over the short axes in each other, for each of the slices. With
# the short axes 4 and 96 made one before, the same numbers take .2 to .5 s. The time is XLA's own, of its
# log (TF_CPP_VMODULE=ir_compiler=1); processor time of the compilation is what is compared here
# (Intel Xeon, 2 cores: 4.2 against .5 s on busy cores; 2.9 s with jax 0.10.2).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.12.0.1 jaxlib==0.12.0.1
cat > "$folder/stack.py" <<'PY'
import time

import jax
import jax.numpy as jnp
import numpy as np


def tiles(x, matrix):
    rows = [jax.lax.slice_in_dim(x, i, i + 13, 4, axis=2) for i in range(6)]
    return jnp.tensordot(matrix, jnp.stack(rows), 1)


def merged(x, matrix):
    return tiles(x.reshape(6, 2, 18, 4 * 96), matrix).reshape(6, 6, 2, 4, 4, 96)


x = jnp.asarray(np.random.default_rng(0).standard_normal((6, 2, 18, 4, 96)), jnp.float32)
matrix = jnp.asarray(np.random.default_rng(1).standard_normal((6, 6)), jnp.float32)
found, seconds = [], []
for function in (tiles, merged):
    lowered = jax.jit(function).lower(x, matrix)
    began = time.process_time()
    compiled = lowered.compile()
    seconds.append(time.process_time() - began)
    found.append(np.asarray(compiled(x, matrix)))
np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-5)
print(f"axes as they are: {seconds[0]:.2f} s, made one: {seconds[1]:.2f} s")
assert seconds[0] > 3 * seconds[1], "this has changed"
PY
JAX_PLATFORMS=cpu JAX_ENABLE_COMPILATION_CACHE=false "$folder/env/bin/python" "$folder/stack.py"
