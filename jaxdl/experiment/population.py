"""Many runs as one task: each function of a task under one `vmap` over members.

The task is built inside the mapped function, from a config whose swept numbers are the member's
own (`jaxdl.per_member`), so no task knows of it. A member has its own state, key and batches; where
a plain run's loop passes a key, a population's has an array of them.
"""

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.errors import ConcretizationTypeError, TracerIntegerConversionError

from jaxdl import metrics, tasks
from jaxdl.errors import StructureError, UserError
from jaxdl.experiment import drawing, sweep
from jaxdl.experiment.history import Watch
from jaxdl.per_member import Setting, Swept

# Bytes of state that a CPU's caches hold beside what an update makes of them: that of its cores,
# and the one that they share.
CACHED, SHARED = 2 << 20, 8 << 20

# What tracing with a number that is not known says where it must be known.
_NOT_TRACEABLE = (ConcretizationTypeError, TracerIntegerConversionError, TypeError, ValueError)


class State(NamedTuple):
    """Of all members, or of any of them: they do not depend on each other.

    Attributes:
      index: which they are, int32 (members,).
      own: what each has by itself, with an axis of members in front.
    """

    index: jax.Array
    own: tasks.State


def take(tree: Any, index: int) -> Any:
    """What member ``index`` has of a tree whose leaves have an axis of members in front."""
    return jax.tree.map(lambda x: x[index], tree)


def own(figures: Mapping[str, Any], index: int) -> dict[str, Any]:
    """What member ``index`` has of figures that are lists; others are of all."""
    return {k: v[index] if isinstance(v, list) else v for k, v in figures.items()}


def name(member: sweep.Member) -> str:
    """What a line calls a member: ``member 3 (seed 1, optimizer.learning_rate=0.01)``."""
    settings = [f"{key}={value:g}" for key, value in member.settings.items()]
    return f"member {member.index} ({', '.join([f'seed {member.seed}', *settings])})"


def member(
    run: tasks.Run, members: list[sweep.Member], index: int, state: State, keys: jax.Array
) -> tuple[tasks.Task, tasks.State, jax.Array]:
    """(task, state, key) of member ``index``, as they would be by itself."""
    return task_of(run, members)(index), take(state.own, index), keys[index]


def part_of(meta: Mapping[str, Any], index: int) -> dict[str, Any]:
    """What the loop would have written beside the checkpoint of member ``index`` by itself."""
    return {
        **meta,
        "watches": [meta["watches"][index]],
        "steps": meta["steps"][index],
        "sound": meta["sound"][index],
    }


def alone(run: tasks.Run, member: sweep.Member) -> tasks.Run:
    """The run of one member, by itself."""
    return run._replace(config=sweep.config_of(run.config, member.settings, member.seed))


def task_of(run: tasks.Run, members: list[sweep.Member]) -> Callable[[int], tasks.Task]:
    """A function of a member's index to the task that it would have by itself.

    Members with the same settings have the same one: its compiled functions serve all.
    """

    @functools.cache
    def of_settings(chosen: tuple) -> tasks.Task:
        return tasks.create(run._replace(config=sweep.config_of(run.config, dict(chosen))))

    return lambda index: of_settings(tuple(members[index].settings.items()))


def create(run: tasks.Run, members: list[sweep.Member]) -> tasks.Task:
    """The task of a population.

    Args:
      run: the run's config and data.
      members: of `jaxdl.experiment.sweep.members`.

    Returns:
      A task whose state, metrics and figures have an axis of members in front; its functions take
      an array of keys, one a member, and its `train_step` a batch for each.

    Raises:
      UserError: settings that cannot be.
      StructureError: the values of a sweep do not share one program, or do nothing in it.
    """
    single = task_of(run, members)
    reference = single(0)
    if reference.shared:
        setting, number = reference.shared
        raise UserError(f"{setting}={number} must be 1: devices share the members of a population")
    names = list(members[0].settings)
    origins = {name: Setting(name) for name in names}

    def built(i: jax.Array) -> tasks.Task:
        if not names:
            return reference
        values = {
            name: Swept(i, [m.settings[name] for m in members], origin)
            for name, origin in origins.items()
        }
        return tasks.create(run._replace(config=sweep.config_of(run.config, values)))

    def mapped(name: str, axes: tuple[int | None, ...], index: jax.Array, *arguments: Any) -> Any:
        def of_member(i: jax.Array, *arguments: Any) -> Any:
            return getattr(built(i), name)(*arguments)

        if name == "init":
            of_member = drawing.together(of_member)
        with _explained(members, single):
            return jax.vmap(of_member, in_axes=(0, *axes))(index, *arguments)

    def init(keys: jax.Array, batch: tasks.Batch) -> State:
        index = jnp.arange(len(members), dtype=jnp.int32)
        return State(index, mapped("init", (0, 0), index, keys, batch))

    def train_step(
        state: State, batch: tasks.Batch, keys: jax.Array
    ) -> tuple[State, metrics.Metrics]:
        own, found = mapped("train_step", (0, 0, 0), *state, batch, keys)
        # What is scored apart may be all that a setting is for: how to sample, say.
        if not reference.has_score:
            _check_effect(origins.values())
        return state._replace(own=own), found

    def eval_step(state: State, batch: tasks.Batch, keys: jax.Array) -> metrics.Metrics:
        return mapped("eval_step", (0, None, 0), *state, batch, keys)

    def score(state: State, split: Any, keys: jax.Array) -> dict[str, list[float]]:
        one = lambda i: single(i).score(take(state.own, i), split, keys[i])
        found = [one(member.index) for member in members]
        return {name: [figures[name] for figures in found] for name in found[0]}

    return tasks.Task(
        init=init,
        train_step=train_step,
        eval_step=eval_step,
        **({"score": score} if reference.has_score else {}),
        parameters=lambda state: reference.parameters(take(state.own, 0)),
        directions=reference.directions,
        check=reference.check,
        partition=lambda state: jax.tree.map(lambda leaf: True, state),
        examples=reference.examples and reference.examples * len(members),
    )


def figures(
    members: list[sweep.Member],
    watches: list[Watch],
    leader: int,
    steps: list[int],
    ended: list[str],
) -> dict[str, Any]:
    """What a population came to, for summary.json.

    Args:
      members: all of them.
      watches: what evaluation showed of each.
      leader: the index of the best.
      steps: updates of each.
      ended: "" of one that went to the end, "early" or "not finite".

    Returns:
      ``members`` (one entry each), ``best`` (member, seed, settings, step and figures of the best
      evaluation of all) and ``final`` (the medians over members after the last step).
    """
    who = lambda m: {"member": m.index, "seed": m.seed, "settings": m.settings}
    last = [watch.last for watch in watches if watch.last]
    names = [name for name in (last[0] if last else {}) if name != "step"]
    return {
        "members": [
            {**who(m), "final": w.last, "best": w.best, "steps": s, "ended": e}
            for m, w, s, e in zip(members, watches, steps, ended, strict=True)
        ],
        "best": {**who(members[leader]), **watches[leader].best},
        "final": {
            "step": max(steps),
            **metrics.medians({name: [found[name] for found in last] for name in names}),
        },
    }


def chunks(state: State, devices: Sequence[jax.Device]) -> int:
    """The parts of a population that go through a call of the loop one after the other.

    On one CPU as many as keep a part's state in the cores' cache, if all of it is too large for the
    shared one: each pass of an update over parameters and moments would go to memory otherwise. Cut
    in vain, the program would only take longer to compile. Anywhere else one.

    Args:
      state: shapes and dtypes will do.
      devices: that it lies on.
    """
    count = len(state.index)
    if len(devices) > 1 or devices[0].platform != "cpu":
        return 1
    each = sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(state.own)) / count
    if count * each <= SHARED:
        return 1
    fitting = [size for size in range(1, count + 1) if count % size == 0]
    return count // max((s for s in fitting if s * each <= CACHED), default=1)


def _check_effect(settings: Iterable[Setting]) -> None:
    """Raises StructureError for a setting whose values no step has looked at."""
    for setting in settings:
        if not setting.used:
            raise StructureError("has no effect on the update, as it is set here", setting.name)


@contextlib.contextmanager
def _explained(members: list[sweep.Member], single: Callable[[int], tasks.Task]) -> Iterator[None]:
    """Turns what tracing says of a swept number into the one line that a user can act on."""
    try:
        yield
    except (UserError, *_NOT_TRACEABLE) as error:
        if not members[0].settings:
            raise
        for member in members:  # a value that no run can have is told of as such
            single(member.index)
        if isinstance(error, UserError):
            raise
        reason = (str(error).strip().splitlines() or [repr(error)])[0]
        raise StructureError(
            f"must be known when the program is made ({reason})", *members[0].settings
        ) from error
