#!/usr/bin/env bash
# orbax-checkpoint 0.12.8: with best_fn and max_to_keep a manager deletes the checkpoint that it has
# just written, if it is not among the best.
# Expected: the newest is kept beside the best, since a run that is started again goes on from it.
# Seen: after steps 0 to 5 whose scores fall, of two that are kept neither is the newest; latest_step()
# is 1, so a run that is started again repeats steps 2 to 5.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 orbax-checkpoint==0.12.8
"$folder/env/bin/python" - "$folder/run" <<'PY'
import sys

import numpy as np
import orbax.checkpoint as ocp

options = ocp.CheckpointManagerOptions(
    max_to_keep=2, best_fn=lambda metrics: metrics["score"], enable_async_checkpointing=False
)
with ocp.CheckpointManager(sys.argv[1], options=options) as manager:
    for step in range(6):
        state = {"x": np.full(3, step)}
        manager.save(step, args=ocp.args.StandardSave(state), metrics={"score": -float(step)})
    kept, latest = sorted(manager.all_steps()), manager.latest_step()
print("kept", kept, "latest", latest)
assert (kept, latest) == ([0, 1], 1), "this has changed"
PY
