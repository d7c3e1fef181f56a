#!/usr/bin/env bash
# gymnax 1.0.1: a car of MountainCarContinuous-v0 that hits the wall on the left keeps its speed.
# Expected: the wall takes it, as in gymnasium's environment of that name and in gymnax's own
# MountainCar-v0, so that the car rolls off at the next step.
# Seen: it stays at the wall, still driving into it, for as many steps as the slope needs to turn the
# speed that was left: after one step at the wall gymnasium's velocity is 0, gymnax's -0.059. What
# takes the speed in its discrete environment (position == min_position) is (position >=
# goal_position) here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3.11}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.3.5 jax==0.10.2 jaxlib==0.10.2 gymnax==1.0.1 \
  gymnasium==1.3.0 six==1.17.0
JAX_PLATFORMS=cpu "$folder/env/bin/python" - <<'PY'
import gymnasium
import gymnax
import jax
import jax.numpy as jnp
import numpy as np

seen = {}
for name, push in (("MountainCarContinuous-v0", np.float32([-1])), ("MountainCar-v0", 0)):
    theirs = gymnasium.make(name).unwrapped
    theirs.reset(seed=0)
    theirs.state = np.array([-1.19, -0.06])
    env, params = gymnax.make(name)
    key = jax.random.key(0)
    _, state = env.reset_env(key, params)
    state = state.replace(position=jnp.float32(-1.19), velocity=jnp.float32(-0.06))
    speeds = []
    for _ in range(2):
        observation, state, *_ = env.step_env(key, state, jnp.asarray(push), params)
        speeds.append((float(theirs.step(push)[0][1]), float(observation[1])))
    seen[name] = speeds
    print(name, "gymnasium, gymnax:", speeds)
assert np.allclose(*zip(*seen["MountainCar-v0"]), atol=1e-6), "this has changed"
(first, kept), (away, stuck) = seen["MountainCarContinuous-v0"]
assert first == 0 and away > 0 and kept < -0.05 and stuck < -0.05, "this has changed"
PY
