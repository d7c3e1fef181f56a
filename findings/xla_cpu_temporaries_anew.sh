#!/usr/bin/env bash
# jax 0.12.0.1 on a CPU: a compiled program's temporaries are had from the system anew in every call.
# Expected: between calls of one program what its three products take, 64 MB each, stays with the process, as an accelerator's do.
# Seen: glibc (2.36) hands blocks of 32 MB and more back when the call ends, so that each call has
# 49,000 page faults, one for each 4 KB of the 192 MB. With glibc.malloc.hugetlb=1, where Linux gives
# huge pages to who asks for them ("madvise"), there are fewer than 2,000. glibc reads GLIBC_TUNABLES
# when a process starts: nothing that a program sets later has an effect.
set -euo pipefail
grep -q '\[madvise\]' /sys/kernel/mm/transparent_hugepage/enabled || { echo "needs madvise"; exit 77; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.13}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.12.0.1 jaxlib==0.12.0.1
cat > "$folder/faults.py" <<'PY'
import resource
import time

import jax
import jax.numpy as jnp

a = jnp.full((4096, 4096), 1e-4)  # 64 MB
program = jax.jit(lambda a: (((a @ a) @ a) @ a).sum())
faults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt
program(a).block_until_ready()
before, began = faults(), time.perf_counter()
for _ in range(4):
    program(a).block_until_ready()
print((faults() - before) // 4, round((time.perf_counter() - began) / 4, 3))
PY
unset GLIBC_TUNABLES
export JAX_PLATFORMS=cpu
read -r small seconds < <("$folder/env/bin/python" "$folder/faults.py")
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1
read -r huge huge_seconds < <("$folder/env/bin/python" "$folder/faults.py")
echo "$small faults and $seconds s a call, $huge and $huge_seconds in huge pages"
((small > 40000 && huge < 4000))
