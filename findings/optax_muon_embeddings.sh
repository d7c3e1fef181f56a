#!/usr/bin/env bash
# optax 0.2.8: contrib.muon orthogonalises embedding tables like any other matrix, and gives vectors a
# first step half as large again as the rate it was told.
# Expected: Muon is for hidden layers and embeddings go to Adam (Jordan et al., 2024); the first step of
# Adam is the rate.
# Seen: the step of a (1000, 8) table of which 20 rows have a gradient has singular values .7 to 1.13
# times the rate, as Newton-Schulz leaves them; a bias moves by 1.474 times the rate (the Adam inside
# has Nesterov's correction).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 optax==0.2.8
"$folder/env/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import numpy as np
import optax

params = {"embedding": jnp.zeros((1000, 8)), "bias": jnp.zeros(8)}
rows = jax.random.normal(jax.random.key(0), (20, 8))
grads = {"embedding": jnp.zeros((1000, 8)).at[:20].set(rows), "bias": jnp.ones(8)}
optimizer = optax.contrib.muon(0.1)
updates, _ = optimizer.update(grads, optimizer.init(params), params)
seen = np.linalg.svd(np.asarray(updates["embedding"][:20]), compute_uv=False) / 0.1
bias = float(jnp.abs(updates["bias"]).mean() / 0.1)
print("singular values of the table's step", seen.round(2), "bias' step over the rate", round(bias, 3))
assert 0.6 < seen.min() and seen.max() < 1.2, "this has changed"
assert round(bias, 3) == 1.474, "this has changed"
PY
