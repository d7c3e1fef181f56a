#!/usr/bin/env bash
# jax 0.12.0.1: what is drawn in bfloat16 or float16 comes from so few numbers that it is wrong:
# categorical gives the first ids of a vocabulary only, bernoulli several times as many ones.
# Expected: a token drawn from equal logits is each of 32,000 as often, whatever dtype they have; of
# probability .001 comes .001; normal numbers go beyond 3 in 2.7 of 1,000 draws.
# Seen: of bfloat16 logits half of the tokens are below 100 and all below 1,100, of float16 half are
# below 700: the noise that is added is made of 7 bits (10), so that many tokens share the largest,
# and the first of them is taken. mode="high" takes twice the bits; half of bfloat16's are below
# 9,200 then. bernoulli(.001) is 1 in .0079 of draws (.0020), as uniform draws multiples of 1/128. Of
# a million normal numbers 128 differ, and none is beyond 2.9. jax 0.10.2 gives the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.12.0.1 jaxlib==0.12.0.1
JAX_PLATFORMS=cpu "$folder/env/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import numpy as np

seen = {}
for name in ("float32", "bfloat16", "float16"):
    keys = jax.random.split(jax.random.key(0), 4)
    logits = jnp.zeros((1000, 32000), name)
    modes = {m: jax.random.categorical(keys[0], logits, mode=m) for m in ("low", "high")}
    middle = {mode: float(np.median(tokens)) for mode, tokens in modes.items()}
    most = int(modes["low"].max())
    share = float(jax.random.bernoulli(keys[1], jnp.asarray(0.001, name), (1_000_000,)).mean())
    normal = np.asarray(jax.random.normal(keys[2], (1_000_000,), name), np.float32)
    seen[name] = middle["low"], most, share, abs(normal).max(), len(np.unique(normal))
    print(name, "median token", middle, "last", most, f"ones {share:.5f}", "normal up to",
          abs(normal).max(), "of", seen[name][-1])
middle, most, share, far, _ = seen["float32"]
assert 14000 < middle < 18000 and most > 31000 and 0.0009 < share < 0.0011 and far > 4.5
middle, most, share, far, different = seen["bfloat16"]
assert middle < 100 and most < 1100 and 0.007 < share < 0.009, "this has changed"
assert far < 3 and different == 128, "this has changed"
assert seen["float16"][0] < 700 and 0.0018 < seen["float16"][2] < 0.0022, "this has changed"
PY
