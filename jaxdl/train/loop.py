"""The loop: the only code that knows time. It runs any `jaxdl.tasks.Task`.

Steps, evaluation, checkpoints, logs, stopping. What is learned, and how, is the task's.
"""

import collections
import contextlib
import math
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple, NoReturn

import jax
import numpy as np
from etils import epath

from jaxdl import errors, keys, metrics, parallel, precision, process, report, tasks
from jaxdl.errors import NonFiniteError, StoppedError
from jaxdl.experiment import Experiment, history, population
from jaxdl.experiment.history import Watch
from jaxdl.registry import choose
from jaxdl.report import samples
from jaxdl.runs import checkpoint, logs
from jaxdl.runs.checkpoint import Checkpoints
from jaxdl.train import advance, ahead, diagnose, dispatch, pace, signals
from jaxdl.train.evaluate import Evaluator
from jaxdl.train.progress import Progress

Program = Callable[..., tuple[advance.Carry, advance.Status]]


class Outcome(NamedTuple):
    """What a run came to.

    Attributes:
      summary: final and best figures, steps, speed, seconds; all of it JSON.
      state: the task's state after the last step.
    """

    summary: dict[str, Any]
    state: tasks.State


def train(
    experiment: Experiment,
    workdir: epath.Path,
    check: Callable[[], None] = lambda: None,
    init: Callable[[], Any] = lambda: None,
) -> Outcome:
    """Runs an experiment to its end, from the newest checkpoint of ``workdir`` if it has one.

    Args:
      experiment: from `jaxdl.experiment.create`.
      workdir: where config.json is; gets metrics.jsonl and checkpoints/.
      check: called before each checkpoint is written; raises what the run is to end with instead.
      init: returns the program of `Experiment.compile_init`, or None; called if the run begins.

    Raises:
      NonFiniteError: a step's metrics were not finite; that update was not applied.
      UserError: an environment on the host raised an exception; so too.
    """
    with Checkpoints(workdir, experiment.config) as checkpoints, ahead.Ahead() as thread:
        return _Run(experiment, workdir, checkpoints, check, init, thread).to_the_end()


class _Run:
    """One life of a run: from its beginning, or a checkpoint, to the end."""

    def __init__(
        self,
        experiment: Experiment,
        workdir: epath.Path,
        checkpoints: Checkpoints,
        check: Callable[[], None],
        init: Callable[[], Any],
        thread: ahead.Ahead,
    ):
        config = experiment.config
        self.check, self.init, self.thread = check, init, thread
        self.experiment, self.config, self.checkpoints = experiment, config, checkpoints
        self.workdir = workdir
        self.steps = experiment.run.steps
        self.eval_every = config.eval.every or max(1, -(-self.steps // 20))
        self.best, self.patient = experiment.best, experiment.patient
        self.log_every = config.log.every or max(1, self.steps // 100)
        self.save_every = config.checkpoint.every or self.eval_every
        found = experiment.abstract_window
        # Metrics of no step yet, in buffers of their own each time: the carry is donated.
        self.empty_window = jax.jit(
            lambda: metrics.zeros(found), out_shardings=experiment.layout.replicated
        )
        self.events = [self.eval_every, self.log_every, self.save_every]
        self.most_per_call = dispatch.most_updates(experiment, min(self.events))
        self.members = experiment.key.shape
        self.carry, self.per_call, self.step = self._begin()
        self.start = self.step
        self.evaluator = Evaluator(experiment, learning=True)
        self.writer = logs.MetricWriter(workdir, self.start)
        self.progress = Progress(
            self.steps, self.start, experiment.run.steps_per_epoch, experiment.examples
        )
        # What was dispatched and not yet looked at: statuses of calls, and at most one window of
        # metrics that waits to be logged.
        self.in_flight: collections.deque[advance.Status] = collections.deque()
        self.unlogged: tuple[int, metrics.Metrics] | None = None
        self.compile_seconds = self.train_seconds = self.save_seconds = 0.0
        self.first_step_seconds: float | None = None
        self.evaluates: Future[None] | None = None
        # By the updates of a call, and by what group its batches are of.
        self.programs: dict[tuple[int, int], Program] = {}

    # The beginning

    def _begin(self) -> tuple[advance.Carry, int, int]:
        experiment = self.experiment
        wanted = {"state": experiment.abstract_state, "window": experiment.abstract_window}
        restored = self.checkpoints.restore(wanted)
        # A call has room for its batches even where it ends sooner: no more than can be used.
        given = min(self.config.steps_per_call, self.steps, *self.events)
        given = 1 if experiment.has_groups else given  # a call is of batches of one shape
        if restored is None:
            state, window = experiment.abstract_state, self.empty_window()
            step, steps, sound = 0, 0, True
            watches = [Watch()] * self._number
            per_call = given or dispatch.first_updates(experiment, self.most_per_call)
        else:
            state, window, meta = *restored.tree.values(), restored.meta
            step, steps, sound = restored.step, meta["steps"], meta["sound"]
            watches = [Watch(**w) for w in meta["watches"]]
            per_call = given or meta["steps_per_call"]
        self.steps_done = np.broadcast_to(np.int32(steps), self.members)
        # Which gave no non-finite number; all of a plain run's by itself, or it has ended.
        self.sound = np.broadcast_to(np.bool_(sound), self.members)
        self.watches = watches
        carry = advance.Carry(
            state, self._put(self.steps_done), window, self._put(self._learning())
        )
        return carry, per_call, step

    def _make_state(self) -> None:
        """The first state, of a run that begins and has but its shapes until now."""
        state = self.carry.state
        if any(isinstance(x, jax.ShapeDtypeStruct) for x in jax.tree.leaves(state)):
            state = self.experiment.init_state(self.init())
            self.carry = self.carry._replace(state=state)

    @property
    def _number(self) -> int:
        return math.prod(self.members)

    def _put(self, x: np.ndarray) -> jax.Array:
        return jax.device_put(x, self.experiment.layout.replicated)

    def _compile(self) -> None:
        """Adds the programs for calls of ``per_call`` updates: one for each shape of a batch."""
        for step in dispatch.shapes(self.experiment, self.start, self.steps):
            self._program(dispatch.Call(step, 1, self.per_call))

    def _program(self, call: dispatch.Call) -> Program:
        """What takes a call; made if it is the first one of its room and its batches' shape."""
        name = call.per_call, self.experiment.group(call.first)
        if name not in self.programs:
            began = time.perf_counter()
            batches = self._load(call._replace(count=1))
            example = (self.carry, self.experiment.key, batches, np.int32(1))
            function = advance.create(self.experiment.task, self.experiment.chunks)
            compiled = self.experiment.layout.compile(function, example, self._prepare)
            self.programs[name] = compiled
            self.compile_seconds += time.perf_counter() - began
        return self.programs[name]

    def _prepare(self) -> None:
        """Begins what evaluations and checkpoints need, while the first program is compiled."""
        if self.programs:
            return
        state, evaluator = self.experiment.abstract_state, self.evaluator
        if ahead.may_compile():
            self.evaluates = self.thread.begin(lambda: evaluator.compile(state))
        self.thread.begin(checkpoint.prepare)

    def _prepare_report(self) -> None:
        """Begins what the report needs, while the run learns."""
        if not self.config.log.report or jax.process_index() != 0:
            return
        if ahead.may_compile():
            key = keys.named(self.experiment.key, "artifacts")
            arguments = self.experiment.abstract_state, self.experiment.run.data.watched, key
            self.thread.begin(lambda: self.experiment.task.compile_artifacts(*arguments))
        self.thread.begin(report.prepare)

    def _load(self, call: dispatch.Call) -> Any:
        """The batches of one call on the devices; the unused end of a short call repeats one."""
        steps = [call.first + min(i, call.count - 1) for i in range(call.per_call)]
        return self.experiment.stacked(steps)

    def _keep_pace(self, stopwatch: pace.Stopwatch) -> bool:
        """Has larger calls from here on, if that pays; returns whether all is settled."""
        left = self.steps - self.step
        per_call = stopwatch.better(self.most_per_call, left, self.compile_seconds)
        if per_call is not None and per_call != self.per_call:
            self.per_call = per_call
            self._compile()
        return per_call is not None

    # The way

    def to_the_end(self) -> Outcome:
        """Trains what is left to train."""
        with self.progress, signals.StopSignals() as self.signals:
            if self.start == self.steps or self._done():
                self.progress.say(f"the run in this workdir ended at step {self.start}")
            else:
                self._go_on()
        self.checkpoints.wait()
        self.writer.flush()
        return Outcome(self._summary(), self.carry.state)

    def _go_on(self) -> None:
        if self.start:
            self.progress.say(f"resumed at step {self.start}")
        if self.experiment.layout.strategy == "pmap":  # which is compiled by arrays alone
            self._make_state()
        self._compile()
        self._make_state()
        began = time.perf_counter()
        self.progress.compiled()
        self._prepare_report()
        # Several hosts must cut the run into the same calls; their clocks would not agree.
        given = self.config.steps_per_call or self.experiment.has_groups
        settled = bool(self.start or given) or jax.process_count() > 1
        stopwatch = pace.Stopwatch(self.per_call)
        in_flight = parallel.steps_in_flight()
        stretches = dispatch.cut(self.start, self.steps, lambda: self.per_call, self.events)
        with contextlib.closing(dispatch.prefetched(self._load, stretches)) as stream:
            for call, batches in stream:
                program = self._program(call)
                dispatched = time.perf_counter()
                self.carry, status = program(
                    self.carry, self.experiment.key, batches, np.int32(call.count)
                )
                stopwatch.call(call.count, time.perf_counter() - dispatched)
                self.in_flight.append(status)
                # On an accelerator, what the call before did is read while this one runs.
                self._catch_up(in_flight - 1)
                self.step = call.first + call.count
                self.progress.step(self.step)
                if self.first_step_seconds is None:
                    jax.block_until_ready(status)
                    self.first_step_seconds = process.seconds_since_start()
                settled = settled or self._keep_pace(stopwatch)
                if self._due(self.log_every):
                    self.unlogged = (self.step, self.carry.window)
                    self.carry = self.carry._replace(window=self.empty_window())
                    if in_flight == 1:
                        self._catch_up(0)
                if self._due(self.eval_every) or self._due(self.save_every):
                    self._take_stock()
                if self._done():
                    break
                if (code := self.signals.exit_code()) is not None:
                    self._stop(code)
        self.train_seconds = time.perf_counter() - began

    def _due(self, every: int) -> bool:
        return self.step % every == 0 or self.step == self.steps

    def _catch_up(self, still_running: int) -> None:
        """Reads the oldest calls' statuses until ``still_running`` are left, and logs."""
        while len(self.in_flight) > still_running:
            status = self.in_flight.popleft()
            self._note(np.asarray(status.step), np.asarray(status.active))
        if self.unlogged is not None:
            (step, window), self.unlogged = self.unlogged, None
            self._log(step, metrics.divide(jax.device_get(window)))

    def _note(self, steps: np.ndarray, active: np.ndarray) -> None:
        """Takes in a call's status: what was active before it and is not now has failed."""
        failed = self._learning() & ~active
        self.steps_done, self.sound = steps, self.sound & ~failed
        if failed.any() and not self.sound.any():
            self._stop_at_non_finite(int(steps.min()))
        for i in np.flatnonzero(failed):
            self.progress.say(
                f"{population.name(self.experiment.members[i])} gave a non-finite number at step "
                f"{steps[i] + 1}: it stays as it was before, and the others go on"
            )

    def _log(self, step: int, figures: dict[str, Any]) -> None:
        """A line for each split that the figures' names are of."""
        splits = logs.by_split(figures)
        for split, found in splits.items():
            self.writer.write(step, split, found)
        self.progress.figures(step, "train", self._shown(logs.flat(splits["train"])))

    def _shown(self, figures: dict[str, Any]) -> dict[str, Any]:
        """For a line: of a population the medians."""
        return metrics.medians(figures) if self.members else figures

    def _take_stock(self) -> None:
        """Evaluates and saves, as the step asks for."""
        self._catch_up(0)
        improved = False
        evaluated = self._due(self.eval_every)
        if evaluated:
            improved = self._evaluate()
        if improved or self._due(self.save_every) or self._done():
            self._save(ranked=evaluated)

    def _evaluate(self) -> bool:
        """Scores the state; returns whether it is the best so far."""
        scored = self._score_is_due()
        self.progress.measuring(self.step)
        if self.evaluates is not None:  # nothing is compiled twice
            self.evaluates.result()
        figures = self.evaluator(self.carry.state, scored=scored)
        if figures:
            self.writer.write(self.step, "eval", figures)
            self.writer.flush()
            self.progress.figures(self.step, "eval", self._shown(figures))
        for key, goal in (("eval.best", self.best), ("early_stopping.metric", self.patient)):
            if goal is not None and scored:
                choose(f"config.{key}", goal.metric, figures)
        self._sample()
        before = self._leader.best
        for i in np.flatnonzero(self._learning()):
            own = population.own(figures, i) if self.members else figures
            found = {"step": self.step, **own}
            self.watches[i] = history.after(self.watches[i], found, self.best, self.patient)
        self.carry = self.carry._replace(active=self._put(self._learning()))
        return self._leader.best is not before

    def _score_is_due(self) -> bool:
        """Whether an evaluation now is the first since another ``eval.score_every`` updates."""
        every, before = self.config.eval.score_every, (self.step - 1) // self.eval_every
        passed = not every or self.step // every > before * self.eval_every // every
        return passed or self.step == self.steps

    @property
    def _leader(self) -> Watch:
        return self.watches[history.leader(self.watches, self.best)]

    def _sample(self) -> None:
        """Keeps what the state generates, if it is time to."""
        sample = self.experiment.task.sample
        if sample is not None and samples.due(self.step, self.steps, self.eval_every):
            made = sample(self.carry.state, keys.named(self.experiment.key, "sample"))
            samples.write(samples.folder_of(self.workdir, self.step), made)

    def _done_early(self) -> np.ndarray:
        """Whose metric of early stopping is good enough, or has not improved for long enough."""
        early = self.config.early_stopping
        most = early.patience or math.inf
        ended = [bool(early.metric) and (w.reached or w.stalled >= most) for w in self.watches]
        return np.array(ended).reshape(self.members)

    def _learning(self) -> np.ndarray:
        """Whether the run, or each of its members, still learns."""
        return self.sound & ~self._done_early()

    def _done(self) -> bool:
        return not self._learning().any()

    def _save(self, ranked: bool) -> None:
        began = time.perf_counter()
        self.check()
        self.checkpoints.save(
            self.step,
            {"state": self.carry.state, "window": self.carry.window},
            {
                "watches": [w._asdict() for w in self.watches],
                "steps": self.steps_done.tolist(),
                "sound": self.sound.tolist(),
                "steps_per_call": self.per_call,
            },
            rank=history.rank_of_last(self.watches, self.best) if ranked else None,
        )
        self.save_seconds += time.perf_counter() - began

    # The end

    def _stop(self, code: int) -> NoReturn:
        """Saves where the run is, whatever the step, and ends it."""
        self._catch_up(0)
        self._save(ranked=False)
        self.checkpoints.wait()
        self.writer.flush()
        raise StoppedError(
            f"stopped and saved at step {self.step} of {self.steps}: the same command goes on",
            code,
        )

    def _stop_at_non_finite(self, step: int) -> NoReturn:
        """Repeats the step that failed, one operation at a time, and says where it went wrong."""
        self.checkpoints.wait()
        self.writer.flush()
        kept = self.checkpoints.latest_step()
        left = f"checkpoint {kept} is kept" if kept else "there is no checkpoint yet"
        if error := errors.taken():
            told = f"step {step + 1}: {error}; the update was not applied; {left}"
            raise type(error)(told) from error
        if self.members:
            raise NonFiniteError(
                f"all {self._number} members gave a non-finite number, the first at step "
                f"{step + 1}: lower values of optimizer.learning_rate or optimizer.clip=1 may help"
            )
        key = keys.at_step(self.experiment.key, step)
        batch, task = self.experiment.batch(step), self.experiment.task
        if told := task.explain(self.carry.state, batch, key):
            raise NonFiniteError(f"step {step + 1}: {told}; the update was not applied; {left}")
        where = diagnose.first_non_finite(
            task.train_step, {"state": self.carry.state, "batch": batch, "key": key}
        )
        raise NonFiniteError(
            f"step {step + 1} gave a non-finite number, first in "
            f"{where or 'a metric (not when run one operation at a time)'}; the update was not "
            f"applied; {left}; a lower optimizer.learning_rate or optimizer.clip=1 may help"
        )

    def _figures(self) -> dict[str, Any]:
        if not self.members:
            return {"final": self.watches[0].last, "best": self.watches[0].best}
        ended = np.where(self.sound, np.where(self._done_early(), "early", ""), "not finite")
        return population.figures(
            self.experiment.members,
            self.watches,
            history.leader(self.watches, self.best),
            self.steps_done.tolist(),
            ended.tolist(),
        )

    def _summary(self) -> dict[str, Any]:
        done = self.step - self.start
        rate = done * self.experiment.examples / self.train_seconds if done else None
        parameters = self.experiment.task.parameters(self.carry.state)
        return {
            **self._figures(),
            "steps": self.step,
            "epochs": self.step / per if (per := self.experiment.run.steps_per_epoch) else None,
            "stopped_early": self.step < self.steps,
            "directions": dict(self.experiment.task.directions),
            "parameters": sum(x.size for x in parameters.values()),
            "examples_per_second": rate,
            "train_seconds": self.train_seconds,
            "first_step_seconds": self.first_step_seconds,
            "compile_seconds": self.compile_seconds,
            "programs_compiled": process.programs_compiled(),
            "steps_per_call": self.per_call,
            "save_seconds": self.save_seconds,
            "devices": self.experiment.layout.mesh.size,
            "platform": jax.default_backend(),
            "precision": str(precision.compute_dtype(self.config.precision).__name__),
            "jax": jax.__version__,
        }
