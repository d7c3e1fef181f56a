"""A config made real: data, task, devices and streams, before anything is written or learned."""

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.extend.core import ClosedJaxpr
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import data as data_sets
from jaxdl import keys, layers, metrics, models, optim, parallel, process, tasks
from jaxdl.errors import UserError
from jaxdl.experiment import drawing, population, sweep
from jaxdl.experiment.history import Goal
from jaxdl.optim import schedules
from jaxdl.registry import check_names, choose
from jaxdl.runs import logs


class Experiment(NamedTuple):
    """All that the loop and the other modes work with.

    Attributes:
      config: the validated settings.
      run: what the task was told of the run; has the data and the number of steps.
      task: the pure functions.
      layout: the devices.
      key: the root of every random draw; an array of them, one a member, in a population.
      batch: (step, rows, group) -> host batch, or the slice ``rows`` of it; {} where there is none.
        ``group`` is that of the length that it is to have, None its own
        (`jaxdl.data.length_groups`).
      members: of a population; none for a plain run.
      learns: False of a model that is only used: no batch is learned from, so that neither it nor
        what the state keeps of one need divide over the devices.
      group: step -> that of its batch; always 0 where all batches are of one shape.
    """

    config: ConfigDict
    run: tasks.Run
    task: tasks.Task
    layout: parallel.Layout
    key: jax.Array
    batch: Callable[..., Any]
    members: Sequence[sweep.Member] = ()
    learns: bool = True
    group: Callable[[int], int] = lambda step: 0

    @property
    def rows(self) -> int:
        """The length of a batch's first axis: examples, or members with a batch each."""
        return len(self.members) or self.config.batch_size

    @property
    def best(self) -> Goal:
        """What names the best checkpoint.

        Raises:
          UserError: nobody says which way the metric is good.
        """
        return self._goal("eval.best", self.config.eval.best)

    @property
    def patient(self) -> Goal | None:
        """What ends the run when it stalls, or is good enough; None where nothing does.

        Raises as `best`.
        """
        early = self.config.early_stopping
        if not early.metric:
            return None
        return self._goal("early_stopping.metric", early.metric)._replace(target=early.target)

    def _goal(self, setting: str, name: str) -> Goal:
        declared = self.task.directions
        return Goal(name, metrics.need_direction(f"config.{setting}", name, declared))

    @property
    def abstract_batch(self) -> Any:
        """Shapes, dtypes and shardings of a batch of the longest; only one example is read."""
        size, sharding = self.rows, self.layout.batch()
        if not self.learns and size % self.layout.batch_devices:
            sharding = self.layout.replicated
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct((size, *x.shape[1:]), x.dtype, sharding=sharding),
            self.batch(0, slice(0, 1), -1),
        )

    @property
    def examples(self) -> int:
        """What an update learns from, in the task's own unit."""
        return self.task.examples or self.config.batch_size * (len(self.members) or 1)

    @property
    def _batch_anywhere(self) -> Any:
        """A batch of arrays that lie nowhere yet: by them `init` is traced once."""
        shape = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype)
        return jax.tree.map(shape, self.abstract_batch)

    @property
    def abstract_state(self) -> Any:
        """Shapes, dtypes and shardings of the task's state."""
        init = self.task.init
        shapes = jax.eval_shape(init, keys.named(self.key, "init"), self._batch_anywhere)
        try:
            return self.layout.state(shapes, self.task.partition(shapes))
        except UserError:
            if self.learns:
                raise
            return self.layout.state(shapes)

    @property
    def traced_step(self) -> tuple[ClosedJaxpr, Any]:
        """The jaxpr of one update, and the shapes of its metrics."""
        trace = jax.make_jaxpr(self.task.train_step, return_shape=True)
        whole = self.layout.replicated
        key = jax.ShapeDtypeStruct(self.key.shape, self.key.dtype, sharding=whole)
        arguments = (self.abstract_state, self.abstract_batch, key)
        with jax.set_mesh(self.layout.mesh):  # as where it is compiled: then it is traced once
            jaxpr, (_, metrics) = trace(*arguments)
        return jaxpr, metrics

    @property
    def chunks(self) -> int:
        """Parts of a population that take their updates one after the other; 1 of a plain run."""
        if not self.members:
            return 1
        return population.chunks(self.abstract_state, [*self.layout.mesh.devices.flat])

    @property
    def abstract_window(self) -> Any:
        """Shapes, dtypes and shardings of the metrics that are summed between log lines."""
        put = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=self.layout.replicated)
        return jax.tree.map(put, self.traced_step[1])

    @property
    def has_groups(self) -> bool:
        """Whether batches may be of several shapes."""
        return data_sets.length_groups.of(self.run.data.train) is not None

    def stacked(self, steps: Sequence[int], group: int | None = None) -> Any:
        """The batches of these steps on the devices, with an axis of steps in front.

        Args:
          steps: of one group, unless ``group`` is given, whose length all then have.
          group: as of ``batch``.
        """
        rows = self.layout.rows(self.rows)
        host = [self.batch(step, rows, group) for step in steps]
        return self.layout.put(jax.tree.map(lambda *xs: np.stack(xs), *host), self.rows, leading=1)

    def compile_init(self) -> Callable[[jax.Array, Any], Any]:
        """The program (key, batch) -> the state at step 0."""
        shardings = jax.tree.map(lambda x: x.sharding, self.abstract_state)
        options = process.options_to_run_once()
        init = self.task.init
        if not self.members and all(s.is_fully_replicated for s in jax.tree.leaves(shardings)):
            init = drawing.together(init)
        init = jax.jit(init, out_shardings=shardings, compiler_options=options)
        return init.lower(keys.named(self.key, "init"), self._batch_anywhere).compile()

    def init_state(self, program: Callable[[jax.Array, Any], Any] | None = None) -> Any:
        """The state at step 0, made on the devices where it stays.

        Args:
          program: of `compile_init`; made if None.

        Raises:
          UserError: the run cannot begin.
        """
        self.task.check()
        program = self.compile_init() if program is None else program
        return program(keys.named(self.key, "init"), self.batch(0, slice(None), -1))


def complete(config: ConfigDict) -> ConfigDict:
    """The config with every setting of its data set, model and task, at the plug's own defaults.

    So any of them can be set from the command line, and config.json shows them all. A name that
    does not exist is left for `check` to tell of.
    """
    for group, plug in (
        ("data", data_sets.own_settings),
        ("model", models.settings),
        ("task", tasks.settings),
    ):
        chosen = config[group]
        with contextlib.suppress(UserError), chosen.unlocked():
            for key, default in plug(chosen.name).items():
                derived = group == "model" and key in _derived(config.task.name)
                if key not in chosen and not derived and default is not None:
                    chosen[key] = default
    return config


def _derived(task: str) -> tuple[str, ...]:
    """The model's fields that follow from config.precision, or that the task sets."""
    return ("dtype", *tasks.traits(task).derives)


def check(config: ConfigDict) -> None:
    """Checks what can be checked without data and devices: the quickest way to an answer.

    Raises:
      UserError: a key, value or name that cannot be.
    """
    settings.validate(config)
    optim.create(config.optimizer, lambda step: 0.0)
    fields = {k for k in config.model if k != "name"}
    if config.model.name:
        check_names(f"model {config.model.name!r}", fields, models.settings(config.model.name))
    schedules.check(config.optimizer)
    members = sweep.members(config)
    _check_groups(config, members[0].settings if members else {})


def usual(config: ConfigDict) -> dict[str, Any]:
    """The settings of its model and task as they come, flat: a run may be older than some of them.

    One that a model or a task gets later changes nothing as it comes, so that such a run goes on.
    """
    found = {}
    for group, plugs in (("model", models), ("task", tasks)):
        name = config[group].name
        given = plugs.settings(name) if plugs.knows(name) else {}
        found |= {
            f"{group}.{key}": list(value) if isinstance(value, tuple) else value
            for key, value in given.items()
        }
    return found


def asks(config: ConfigDict) -> tuple[str, ...]:
    """The settings that may be others where a run is used (`jaxdl.tasks.Traits`), dotted."""
    return tuple(f"task.{name}" for name in tasks.traits(config.task.name).asks)


def _check_groups(config: ConfigDict, swept: Iterable[str]) -> None:
    """Raises UserError for the first setting of a group that the task does not use."""
    task = config.task.name
    unused = [group for group in settings.OPTIONAL if group not in tasks.traits(task).groups]
    for group in unused:
        given = [f"config.{name}={v!r}" for name, v in settings.changed(config, group).items()]
        given += [f"config.sweep of {name}" for name in swept if name.startswith(f"{group}.")]
        if given:
            raise UserError(f"{given[0]}: task {task!r} uses nothing of config.{group}")


def create(
    config: ConfigDict,
    devices: Sequence[jax.Device] | None = None,
    data: data_sets.Data | None = None,
) -> Experiment:
    """Builds the experiment that ``config`` describes; data are loaded before devices are touched.

    Args:
      config: the settings.
      devices: those to plan for, which may be on no machine at hand. Only shapes are wanted of such
        an experiment, so its data may hold fewer examples than a batch. None is a run's own.
      data: to learn from; loaded if None.

    Raises:
      UserError: anything in the config, the data or the devices that cannot be.
    """
    settings.expand_paths(config)
    check(config)
    data = data_sets.load(config.data) if data is None else data
    _check_groups_of_lengths(config, data)
    batches = data.train is not None
    size = len(data.train) if batches else None
    steps_per_epoch = size / config.batch_size if batches else None
    if config.steps is None and not batches:
        raise UserError(
            f"config.epochs={config.epochs:g}: data set {config.data.name!r} has no batches to "
            "pass over; set config.steps"
        )
    steps = config.steps or updates(config, size)
    run = tasks.Run(config, data, steps, steps_per_epoch)
    if batches and devices is None and config.batch_size > len(data.train):
        tasks.create(run)  # that the task has no use for such data at all is told first
        raise UserError(
            f"config.batch_size={config.batch_size} is larger than the training data: "
            f"{len(data.train)} examples"
        )
    schedules.create(config.optimizer, steps=steps, steps_per_epoch=steps_per_epoch)

    experiment = assemble(run, devices)
    _check_metrics(experiment)
    return experiment


def _check_groups_of_lengths(config: ConfigDict, data: data_sets.Data) -> None:
    """Raises UserError where ``data.lengths`` asks for what the task or the call cannot have."""
    if data_sets.length_groups.of(data.train) is None:
        return
    if not tasks.traits(config.task.name).any_length:
        raise UserError(
            f"config.data.lengths={config.data.lengths}: task {config.task.name!r} takes batches "
            "of one length alone; set 1"
        )
    if config.steps_per_call > 1:
        raise UserError(
            f"config.steps_per_call={config.steps_per_call} needs batches of one length, and "
            f"config.data.lengths={config.data.lengths} has several: set one of them to 1"
        )


def updates(config: ConfigDict, examples: int) -> int:
    """The updates in ``config.epochs`` passes over so many examples, the last of them begun."""
    # The product first: passes in whole batches then are a whole number of updates, exactly.
    return math.ceil(config.epochs * examples / config.batch_size)


def assemble(
    run: tasks.Run, devices: Sequence[jax.Device] | None = None, learns: bool = True
) -> Experiment:
    """The task, devices and streams of a run; arguments as of `create` and `Experiment`.

    Raises:
      UserError: a model that cannot be built on these data, or devices that cannot be.
    """
    plan = _population if sweep.is_population(run.config) else _plain
    experiment = _traced_once(plan(run, devices, learns))
    _check_model(experiment)
    return experiment


def _traced_once(experiment: Experiment) -> Experiment:
    """With traces that jax keeps: what is looked at before a run is not traced again to run it."""
    keeps = lambda f: jax.jit(f, inline=True)
    task = experiment.task
    return experiment._replace(
        task=task._replace(
            init=keeps(task.init),
            train_step=keeps(task.train_step),
            eval_step=keeps(task.eval_step),
        )
    )


def _no_batch(step: int, rows: slice | None = None, group: int | None = None) -> dict:
    return {}


def _plain(run: tasks.Run, devices: Sequence[jax.Device] | None, learns: bool = True) -> Experiment:
    config, train = run.config, run.data.train
    batch = _no_batch
    if train is not None:
        batch = data_sets.training_batches(train, config.batch_size, config.seed)
    task = tasks.create(run)
    what, count = shared(config, task)
    layout = parallel.create(
        config.parallel,
        count if learns else 0,
        config.accumulate,
        devices,
        what,
        layers.TENSOR_RULES,
    )
    key = keys.root(config.seed)
    group = data_sets.step_groups(train, config.batch_size)
    return Experiment(config, run, task, layout, key, batch, (), learns, group)


def shared(config: ConfigDict, task: tasks.Task) -> tuple[str, int]:
    """The setting and the number of what a plain run's devices share: `jaxdl.parallel.create`."""
    return task.shared or ("config.batch_size", config.batch_size)


def _population(run: tasks.Run, devices: Sequence[jax.Device] | None, learns: bool) -> Experiment:
    config, train = run.config, run.data.train
    members = sweep.members(config)
    seeds = [member.seed for member in members]
    batch = _no_batch
    if train is not None:
        batch = data_sets.member_batches(train, config.batch_size, seeds)
    what = "the number of members, config.population times the values of config.sweep,"
    count = len(members) if learns else 0
    layout = parallel.create(config.parallel, count, 1, devices, what, layers.TENSOR_RULES)
    if layout.strategy == "pmap":
        raise UserError("a population lies on devices by config.parallel.strategy='jit' only")
    if members[0].settings:
        # What is wrong with one run is no matter of the sweep.
        first = population.alone(run, members[0])
        first.config.parallel.update(data=1, fsdp=1, tensor=1)
        _check_model(_plain(first, layout.mesh.devices.flat[:1], learns))
    task = population.create(run, members)
    group = data_sets.step_groups(train, config.batch_size)
    return Experiment(config, run, task, layout, keys.root(seeds), batch, members, learns, group)


def check_training(experiment: Experiment) -> None:
    """Traces the step of a run that is to be trained, before anything of it is written.

    The loop needs its trace anyway, and JAX keeps it.

    Raises:
      UserError: the model refuses to be trained like this, or a metric has a name that cannot be.
    """
    with _telling_of_model(experiment.config):
        found = experiment.abstract_window
    logs.by_split(dict.fromkeys(metrics.names(found)))


def _check_model(experiment: Experiment) -> None:
    """Builds the state abstractly, so that a shape that cannot be is found now."""
    with _telling_of_model(experiment.config):
        _ = experiment.abstract_state
        if (
            experiment.members and experiment.learns
        ):  # what a sweep may change is found by tracing the step
            _ = experiment.traced_step


@contextlib.contextmanager
def _telling_of_model(config: ConfigDict) -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError, ZeroDivisionError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else repr(error)
        raise UserError(
            f"model {config.model.name!r} cannot be built with config.model="
            f"{dict(config.model)} on this data: {reason}"
        ) from error


def _check_metrics(experiment: Experiment) -> None:
    """The metrics that the config names must be among those that evaluation gives."""
    config, task = experiment.config, experiment.task
    if task.has_score:  # its names are known when it has run, but not all of them can be meant
        _ = experiment.best, experiment.patient
        return
    batch = experiment.abstract_batch
    if experiment.members:  # all are evaluated on the same
        batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), batch)
    found = jax.eval_shape(task.eval_step, experiment.abstract_state, batch, experiment.key)
    choose("metric in config.eval.best", config.eval.best, found)
    if config.early_stopping.metric:
        choose("metric in config.early_stopping.metric", config.early_stopping.metric, found)
    _ = experiment.best, experiment.patient  # which way each is good, or an error
