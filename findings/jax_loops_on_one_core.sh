#!/usr/bin/env bash
# jax 0.12.0.1 on a CPU: a loop whose turn reads and writes less than 1 GiB is compiled for one core.
# Expected: a loop of matrix products takes the cores that the same products take outside of it, as
# with jax 0.10.2. XLA has a pass that makes one function of small loops, and what it calls small is a
# setting, xla_cpu_small_while_loop_byte_threshold, that no flag of its own sets: it is one of
# --xla_backend_extra_options.
# Seen: twenty turns over 96 MiB of matrices are marked xla_cpu_small_call; with the threshold at 1024
# they are not, and take .4 of the time (Intel Xeon, 2 cores: 105 against 44 ms; 49 ms with 0.10.2).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.12.0.1 jaxlib==0.12.0.1
cat > "$folder/loop.py" <<'PY'
import time

import jax
import jax.numpy as jnp


@jax.jit
def loop(x, matrices):
    def turn(x, _):
        for matrix in matrices:
            x = jnp.tanh(x @ matrix)
        return x, None

    return jax.lax.scan(turn, x, None, length=20)[0]


matrices = [jax.random.normal(jax.random.key(i), (1024, 1024)) / 32 for i in range(24)]
x = jnp.ones((1, 1024))
compiled = loop.lower(x, matrices).compile()
seconds = []
for _ in range(8):
    began = time.perf_counter()
    compiled(x, matrices).block_until_ready()
    seconds.append(time.perf_counter() - began)
print(compiled.as_text().count("xla_cpu_small_call"), f"{min(seconds):.3f} s")
PY
option=--xla_backend_extra_options=xla_cpu_small_while_loop_byte_threshold
run() { JAX_PLATFORMS=cpu XLA_FLAGS=$1 "$folder/env/bin/python" "$folder/loop.py"; }
usual=$(run "")
set_low=$(run "$option=1024")
printf 'by default: %s\nthreshold 1024: %s\n' "$usual" "$set_low"
[[ $usual == 1\ * && $set_low == 0\ * ]] || { echo "this has changed"; exit 1; }
