"""Environment steps a second: jaxdl's environments on the device beside gymnasium's in Python.

    python -m benchmarks.environments [--environment=cartpole,acrobot] [--rounds=9] [--devices=2]

Both sides act by the same policy: the actor that experiments/ppo.py trains, as it is initialised,
by its likeliest or by a drawn action; or evenly by all actions, without a network. Ours are many
environments on the device, as many of COUNTS as are fastest, shared out to a host device a core: a
step is policy, draws, environment and new starts. Gymnasium's environment is stepped one at a time,
its action chosen by a jitted JAX call a step, as one writes that loop, and by the same weights in
plain NumPy, which is the faster way in Python; even actions come from action_space.sample(). Rounds
alternate; a ratio is the median of each round's own.

Needs the extra `gymnasium`.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import machine, statistics

ENVIRONMENTS = ("cartpole", "acrobot", "pendulum", "mountain_car")
POLICIES = ("actor, likeliest action", "actor, drawn action", "evenly random")
# Environments side by side that are tried, and the steps of all of them in one call.
COUNTS, STEPS = (256, 1024, 4096, 16384), 2**18
COLUMNS = (
    "environment", "policy", "ours, a second", "environments", "gymnasium, JAX call a step",
    "ours / that", "gymnasium, NumPy alone", "ours / that",
)  # fmt: skip


class Policy(NamedTuple):
    """One policy as each side runs it.

    Attributes:
      act: `jaxdl.envs.speed.Act`.
      variables: its own.
      drawn: whether it draws.
      numpy: the same from one observation, without JAX; None is action_space.sample().
    """

    act: Callable
    variables: Any
    drawn: bool
    numpy: Callable | None


def policy(name: str, environment: Any) -> Policy:
    """One of POLICIES for an environment."""
    import jax
    import jax.numpy as jnp

    from jaxdl import keys, models
    from jaxdl.control import policies

    if name == "evenly random":
        act = lambda variables, observations, keys: policies.evenly(environment, keys)
        return Policy(act, {}, True, None)
    drawn, size = "drawn" in name, environment.actions or environment.action_size
    module = models.create(
        "actor_critic",
        hidden=(64, 64),
        actions=environment.actions or 0,
        action_size=environment.action_size or 0,
    )
    variables = module.init(keys.root(0), jnp.zeros((1, environment.observation_size)))

    def act(variables: Any, observations: jax.Array, keys: jax.Array | None) -> jax.Array:
        output, _ = module.apply(variables, observations)
        found = policies.Categorical(output) if environment.actions else policies.Gaussian(*output)
        if not drawn:
            return environment.from_units(found.mode())
        noise = jax.vmap(lambda key: found.noise(key, (size,)))(keys)
        return environment.from_units(found.sample(noise))

    return Policy(act, variables, drawn, in_numpy(environment, variables, drawn))


def in_numpy(environment: Any, variables: Any, drawn: bool) -> Callable:
    """The actor's action for one observation (observation_size,), in NumPy."""
    import jax
    import numpy as np

    params = jax.tree.map(np.array, variables["params"])
    layers = [(params[f"policy_{i}"]["kernel"], params[f"policy_{i}"]["bias"]) for i in (0, 1)]
    kernel, bias = params["policy_head"]["kernel"], params["policy_head"]["bias"]
    rng = np.random.default_rng(0)
    low, high = environment.action_low, environment.action_high
    std = np.exp(params.get("log_std", np.zeros(0, np.float32)))

    def choose(observation: np.ndarray) -> Any:
        x = observation
        for w, b in layers:
            x = np.tanh(x @ w + b)
        x = x @ kernel + bias
        if environment.actions:
            return int((x + rng.gumbel(size=x.shape) if drawn else x).argmax())
        if drawn:
            x = x + std * rng.standard_normal(x.shape, np.float32)
        return low + (np.clip(x, -1, 1) + 1) / 2 * (high - low)

    return choose


def measure(name: str, chosen: str, options: argparse.Namespace) -> dict[str, Any]:
    """{"environments": the fastest number of them, "rates": {side: steps a second, a round each}}.

    The sides are "ours" and of "jax", "numpy" those that there are.
    """
    import gymnasium
    import jax

    from jaxdl import envs, keys
    from jaxdl.envs import speed

    environment = envs.create(name)
    found = policy(chosen, environment)
    best, ours = max(
        (
            (count, speed.OnDevice(
                environment, found.act, count,
                steps=max(1, options.steps // count), devices=jax.devices(),
            ).turn(found.variables))
            for count in options.counts
        ),
        key=lambda tried: max(tried[1](options.seconds) for _ in range(2)),
    )  # fmt: skip
    turns = {"ours": ours}
    if found.numpy is None:
        space = gymnasium.make(environment.gymnasium).action_space
        space.seed(0)
        turns["numpy"] = speed.in_gymnasium(environment, lambda observation: space.sample())
    else:
        key = keys.root(0) if found.drawn else None
        one = speed.one_by_one(found.act, found.variables, key)
        turns["jax"] = speed.in_gymnasium(environment, one)
        turns["numpy"] = speed.in_gymnasium(environment, found.numpy)
    return {
        "environments": best,
        "rates": speed.alternate(turns, options.rounds, options.seconds),
    }


def row(name: str, chosen: str, found: Mapping[str, Any]) -> list[str]:
    """COLUMNS of one measurement, as text."""
    rates = found["rates"]
    cells = [name, chosen, _count(rates["ours"]), f"{found['environments']:,}"]
    for side in ("jax", "numpy"):
        if side not in rates:
            cells += ["–", "–"]
            continue
        ratios = [a / b for a, b in zip(rates["ours"], rates[side], strict=True)]
        ratio = statistics.spread(ratios)
        spread = f"[{ratio['low']:,.0f}, {ratio['high']:,.0f}]"
        cells += [_count(rates[side]), f"**{ratio['median']:,.0f}** {spread}"]
    return cells


def _count(rates: Sequence[float]) -> str:
    median = statistics.spread(rates)["median"]
    return f"{median / 1e6:.3g} M" if median >= 1e6 else f"{median:,.0f}"


def line(cells: Sequence[str]) -> str:
    """One line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; 2 without gymnasium."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--environment", default="", help=f"any of {','.join(ENVIRONMENTS)}")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.5, help="of each side's turn in a round")
    parser.add_argument("--devices", type=int, default=0, help="on a CPU; 0 is one a core")
    parser.add_argument("--tiny", action="store_true", help="small sizes, quickly")
    options = parser.parse_args(argv)
    names = [name for name in options.environment.split(",") if name] or list(ENVIRONMENTS)
    for name in names:
        if name not in ENVIRONMENTS:
            parser.error(f"no environment {name!r}: there are {', '.join(ENVIRONMENTS)}")
    options.counts, options.steps = COUNTS, STEPS
    if options.tiny:
        options.counts, options.steps, options.rounds, options.seconds = (16, 32), 64, 2, 0.01

    try:
        import gymnasium
    except ImportError:
        print("gymnasium is not installed: pip install -e '.[gymnasium]'", file=sys.stderr)
        return 2
    from jaxdl import process

    process.tune()
    _share_cores(options.devices or machine.cores())
    import jax

    print(
        f"{machine.processor()}, {machine.cores()} cores; {len(jax.devices())} devices of "
        f"{jax.devices()[0].device_kind}; jax {jax.__version__}, gymnasium {gymnasium.__version__}."
        " Medians; a ratio's quartiles are in brackets.\n"
    )
    print(line(COLUMNS), line(["---"] * len(COLUMNS)), sep="\n", flush=True)
    for name in names:
        for chosen in POLICIES:
            print(line(row(name, chosen, measure(name, chosen, options))), flush=True)
    return 0


def _share_cores(devices: int) -> None:
    """So many devices on a CPU, before jax makes them: small products do not use two cores."""
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_force_host_platform_device_count" not in flags:
        count = f"--xla_force_host_platform_device_count={devices}"
        os.environ["XLA_FLAGS"] = f"{flags} {count}".strip()


if __name__ == "__main__":
    sys.exit(main())
