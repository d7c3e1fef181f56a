#!/usr/bin/env bash
# orbax-checkpoint 0.12.8: one checkpoint whose score is NaN makes a manager delete the best one.
# Expected: a step whose score is no number is worse than every step that has one, or is refused.
# Seen: of scores .7, .6, NaN the highest is the NaN's, and .7 is deleted; of .5, NaN, .7, .6, the lower
# the better, .6 is kept and .5 deleted. Steps are sorted by their scores, and NaN is neither above
# nor below any: what it parts is not compared.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet jax==0.10.2 jaxlib==0.10.2 orbax-checkpoint==0.12.8
JAX_PLATFORMS=cpu "$folder/env/bin/python" - "$folder" <<'PY'
import sys

import numpy as np
import orbax.checkpoint as ocp

nan = float("nan")


def kept(mode, scores):
    options = ocp.CheckpointManagerOptions(
        max_to_keep=1, best_fn=lambda metrics: metrics["score"], best_mode=mode,
        enable_async_checkpointing=False,
    )  # fmt: skip
    place = f"{sys.argv[1]}/{mode}_{'_'.join(map(str, scores))}"
    with ocp.CheckpointManager(place, options=options) as manager:
        for step, score in enumerate(scores):
            state = ocp.args.StandardSave({"x": np.full(3, step)})
            manager.save(step, args=state, metrics={"score": score})
        assert manager.all_steps() == [manager.best_step()]
        return manager.best_step()


found = {(mode, scores): kept(mode, scores) for mode, scores in (
    ("max", (0.7, 0.6, 0.5)), ("max", (0.7, 0.6, nan)),
    ("min", (0.5, 0.8, 0.7, 0.6)), ("min", (0.5, nan, 0.7, 0.6)),
)}  # fmt: skip
print(found)
assert list(found.values()) == [0, 2, 0, 3], "this has changed"
PY
