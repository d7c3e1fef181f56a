#!/usr/bin/env bash
# optax 0.2.8: adaptive_grad_clip takes each number of a convolution along time for a unit of its
# own taps, and each of attention's way out for one of its heads.
# Expected: a unit is what one output is made of (Brock et al., 2021, equation 3), all axes but the
# last of (k, c, features) and (heads, head_dim, width); unitwise_norm's own description says axes
# 0, 1 and 2 of three.
# Seen: of three axes the norm is over the first alone. A gradient on one of 16 channels of a kernel
# of ones, (3, 16, 8), is cut to a quarter of what the same kernel is allowed as (1, 3, 16, 8).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 optax==0.2.8
JAX_PLATFORMS=cpu "$folder/env/bin/python" - <<'PY'
import jax.numpy as jnp
import numpy as np
import optax

clip = optax.adaptive_grad_clip(0.01)
kernel = jnp.ones((3, 16, 8))
gradient = jnp.zeros((3, 16, 8)).at[:, 0].set(1.0)
norms = {}
for name, shape in (("along time", (3, 16, 8)), ("as an image", (1, 3, 16, 8))):
    given, at = gradient.reshape(shape), kernel.reshape(shape)
    updates, _ = clip.update(given, clip.init(at), at)
    norms[name] = np.linalg.norm(np.asarray(updates).reshape(-1, 8), axis=0)[0]
allowed = 0.01 * np.sqrt(3 * 16)
print({name: round(float(norm / allowed), 3) for name, norm in norms.items()}, "of what is allowed")
assert np.isclose(norms["as an image"], allowed, rtol=1e-5), "this has changed"
assert np.isclose(norms["along time"], allowed / 4, rtol=1e-5), "this has changed"
PY
