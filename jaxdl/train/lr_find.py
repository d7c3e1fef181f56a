"""The learning-rate range test (Smith, 2015, arXiv 1506.01186, section 3.3) of any task.

    python -m jaxdl.launch --config=experiments/mlp.py --workdir=runs/mlp --mode=lr_find

One short training from a fresh state, whose rate grows by the same factor at each update, shows
where the loss begins to fall, where it falls fastest, and where it is thrown back. Two rates are
read from it: the one at which the averaged loss falls fastest, ``steepest``, which is what the test
is usually read for, and ``tenth``, a tenth of the rate at which it is lowest. The second is the
suggestion: it hardly moves from seed to seed, where the first is at the mercy of the noise. For
--config.seed=0, 1 and 2 the command above gives

                    the experiment's own    tenth                       steepest
    mlp             .002                    .0041, .0041, .0048         .0020, .0024, .0016
    deep_cnn        .002                    .0041, .0029, .0034         .0054, .0046, .0068
    gpt             .004                    .0050, .0054, .0054         .0070, .019, .017
    vae             .002                    .0037, .0037, .0021         2e-6, 4e-6, 3e-6

and trained with these as --config.optimizer.learning_rate, each seed with its own, all else as the
experiment has it (for gpt seed 0 alone, and --config.steps=200 --config.eval.every=200):

    mlp, accuracy         .986, .992, .989  .989, .997, .994            .986, .997, .992
    deep_cnn, accuracy    .997, .992, .989  .997, .989, .992            .997, .992, .994
    gpt, nats a byte      2.103             2.078                       2.189

One of the 360 test images is .003: for mlp and deep_cnn every rate in the table will do. Where a
loss does not measure progress, in games (of adversarial networks it is the discriminator's) and in
control, the curve shows what diverges and little else.
"""

import html
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from ml_collections import ConfigDict

from jaxdl import config as settings
from jaxdl import experiment, metrics, tasks
from jaxdl.errors import UserError
from jaxdl.report import draw, page
from jaxdl.runs import workdir
from jaxdl.train import advance, dispatch

# Updates of a test whose length is left to the data: one pass, within these.
LEAST, MOST = 200, 400
# What the smoothed loss remembers, as a share of the test: a tenth of the updates at most matter.
MEMORY = 0.05
# Deviations of the smoothed loss's noise that a fall must have: where the loss is noise alone, and
# normal or exponential, 4 to 6 of 2,000 tests of 100 to 400 updates have such a fall.
SURE = 7.0


class Reading(NamedTuple):
    """What a curve says; rates are None where it says nothing.

    Attributes:
      steepest: the rate at which the smoothed loss falls fastest per factor in the rate.
      tenth: a tenth of ``lowest``.
      lowest: the rate at which the smoothed loss is lowest.
      diverged: the first rate that threw the smoothed loss back above where it began, or whose loss
        is no number; None if none did.
      why: why there is no suggestion, in words; "" if there is one.
    """

    steepest: float | None
    tenth: float | None
    lowest: float | None
    diverged: float | None
    why: str

    @property
    def suggestion(self) -> float | None:
        """The rate to begin with."""
        return self.tenth


class Found(NamedTuple):
    """A test and its reading.

    Attributes:
      metric: the name of the loss that was looked at.
      rates: (steps,) float64, of each update.
      losses: (steps,) float64, as `measure` has them.
      smoothed: (steps,) float64.
      reading: of the curve.
    """

    metric: str
    rates: np.ndarray
    losses: np.ndarray
    smoothed: np.ndarray
    reading: Reading


# The curve and how it is read


def schedule(low: float, high: float, steps: int) -> np.ndarray:
    """The rate of each update, (steps,) float64: from ``low`` to ``high``, by one factor."""
    return low * (high / low) ** (np.arange(steps) / max(steps - 1, 1))


def smoothed(losses: np.ndarray, beta: float) -> np.ndarray:
    """The bias-corrected exponential average (Kingma and Ba, 2014, section 3), float64.

    Args:
      losses: (n,); a NaN makes all that follow NaN.
      beta: the weight of what was before, in [0, 1).

    Returns:
      (n,): ``Σ β^(t-i) losses[i] / Σ β^(t-i)`` over i ≤ t.
    """
    average, result = 0.0, np.empty(len(losses))
    for t, loss in enumerate(losses):
        average = beta * average + (1 - beta) * loss
        result[t] = average / (1 - beta ** (t + 1))
    return result


def memory(steps: int) -> float:
    """The β of `smoothed` for a test of this many updates: 0.9 for 200."""
    return 1 - 1 / max(MEMORY * steps, 1)


def _first(steps: int) -> int:
    """The update at which the average of a test has seen as many losses as it remembers."""
    return max(math.ceil(round(MEMORY * steps, 6)), 1) - 1


def suggest(rates: np.ndarray, losses: np.ndarray) -> Reading:
    """Reads a curve.

    The stretch that is read begins where the average has seen as many losses as it remembers, and
    ends before the first rate that diverges.

    Args:
      rates: (n,), growing by one factor.
      losses: (n,), of any scale and sign; NaN or infinite from where training broke.

    Returns:
      A reading; without a suggestion if the loss never falls by more than its noise explains.
    """
    nothing = Reading(None, None, None, None, "")
    broken = np.flatnonzero(~np.isfinite(losses))
    whole = int(broken[0]) if len(broken) else len(losses)
    diverged = float(rates[whole]) if len(broken) else None
    beta = memory(len(losses))
    curve, first = smoothed(losses[:whole], beta), _first(len(losses))
    if whole < first + 3:
        return nothing._replace(
            diverged=diverged,
            why=f"the loss is no number from update {whole + 1} on: a lower lr_find.low may help",
        )
    # Of the first quarter: its rates are too low to do much.
    noise = SURE * _noise(losses[: min(whole, len(losses) // 4)], beta)
    above = np.flatnonzero(curve[first:] > curve[first] + noise)
    end = first + int(above[0]) if len(above) else whole
    diverged = float(rates[end]) if len(above) else diverged
    at = first + int(np.argmin(curve[first:end]))
    if curve[first] - curve[at] <= noise:
        return nothing._replace(
            diverged=diverged,
            why=f"the loss never falls by more than its noise: it begins at {curve[first]:.4g} and "
            f"its lowest is {curve[at]:.4g}",
        )
    slope = np.gradient(curve[first:end], np.log(rates[first:end]))[: at - first + 1]
    lowest = float(rates[at])
    steepest = float(rates[first + int(np.argmin(slope))])
    return Reading(steepest, lowest / 10, lowest, diverged, "")


def _noise(losses: np.ndarray, beta: float) -> float:
    """The deviation of the smoothed loss, if the noise of the losses is independent.

    From the steps between neighbours, which a trend moves little.
    """
    one = math.sqrt(np.square(np.diff(losses)).mean() / 2)
    return one * math.sqrt((1 - beta) / (1 + beta))


# The test


def configure(config: ConfigDict, steps: int) -> ConfigDict:
    """The config of the test: that of the run, but for its length and the rates over time."""
    test = config.copy_and_resolve_references()
    low, high = config.lr_find.low, config.lr_find.high
    test.epochs, test.steps = None, steps
    test.optimizer.update(
        schedule="exponential",
        learning_rate=low,
        # The last update begins with ``high``, also where an update is many of the optimizer.
        end_factor=float((high / low) ** (steps / max(steps - 1, 1))),
        warmup=0.0,
        boundaries=(),
    )
    test.log.layers = False  # norms that nobody looks at
    return test


def create(config: ConfigDict) -> experiment.Experiment:
    """The experiment that a test of ``config`` is.

    Raises:
      UserError: anything in the config, the data or the devices that cannot be.
    """
    given = config.lr_find.steps
    made = experiment.create(configure(config, given or LEAST))
    if given or made.run.steps_per_epoch is None:
        return made
    a_pass = min(math.ceil(made.run.steps_per_epoch), MOST)
    return made if a_pass <= LEAST else experiment.create(configure(config, a_pass))


def metric_of(found: Any) -> str:
    """The loss to look at: "loss", or else the first metric whose name ends so.

    Args:
      found: the metrics of an update, by name.

    Raises:
      UserError: there is none.
    """
    losses = [name for name in sorted(found) if name.endswith("loss") and "/" not in name]
    if not losses:
        raise UserError(
            f"--mode=lr_find looks at a loss, and this task has none among {', '.join(found)}"
        )
    return "loss" if "loss" in losses else losses[0]


def make_curve(task: tasks.Task, metric: str, updates: int) -> Any:
    """The compiled heart: a scan over updates that keeps the loss of each.

    Returns:
      A function (carry, root key, batches, count) -> (carry, losses (updates,) float32): as
      `jaxdl.train.advance.create`, of which it makes one call an update. From a non-finite update
      on nothing is applied and losses are NaN, as they are after ``count`` of them.
    """
    step = advance.create(task)

    def curve(carry, root, batches, count):
        def body(
            carry: advance.Carry, now: tuple[jax.Array, Any]
        ) -> tuple[advance.Carry, jax.Array]:
            i, batch = now
            one = jax.tree.map(lambda x: x[None], batch)
            carry, _ = step(carry, root, one, (i < count).astype(jnp.int32))
            total, weight = carry.window[metric]
            return carry._replace(window=metrics.zeros(carry.window)), total / weight

        return jax.lax.scan(body, carry, (jnp.arange(updates), batches))

    return curve


def measure(made: experiment.Experiment) -> tuple[str, np.ndarray]:
    """Runs the test.

    Returns:
      The name of the loss (`metric_of`) and its value at each update, (steps,) float64, before what
      the update changes; NaN from the first on that has a non-finite metric, and is not applied.
    """
    _, found = made.traced_step
    metric = metric_of(found)
    layout, steps = made.layout, made.run.steps
    # Calls of one length, as few as the memory for their batches allows.
    stretches = -(-steps // dispatch.most_updates(made, steps))
    updates = -(-steps // stretches)
    # Batches of several lengths are all filled up to the longest: they are to lie in one array.
    load = lambda first: made.stacked([min(first + i, steps - 1) for i in range(updates)], -1)
    start = (np.int32(0), metrics.zeros(found), np.bool_(True))
    carry = advance.Carry(made.init_state(), *jax.device_put(start, layout.replicated))
    arguments = (carry, made.key, load(0), np.int32(updates))
    program = layout.compile(make_curve(made.task, metric, updates), arguments)
    losses: list[np.ndarray] = []
    for first in range(0, steps, updates):
        count = min(updates, steps - first)
        batches = load(first) if first else arguments[2]
        carry, part = program(carry, made.key, batches, np.int32(count))
        losses.append(np.asarray(part, np.float64)[:count])
        if not np.isfinite(losses[-1]).all():
            break
    whole = np.concatenate(losses)
    return metric, np.concatenate([whole, np.full(steps - len(whole), np.nan)])


def run(config: ConfigDict) -> Found:
    """`--mode=lr_find`: tests ``config`` from its own seed's state on its own first batches.

    Raises:
      UserError: anything in the config, the data or the devices that cannot be, or a task without a
        loss.
    """
    metric, losses = measure(create(config))
    rates = schedule(config.lr_find.low, config.lr_find.high, len(losses))
    return Found(
        metric, rates, losses, smoothed(losses, memory(len(losses))), suggest(rates, losses)
    )


# What is left of it


def describe(found: Found) -> str:
    """What a person wants to know, in a few lines."""
    return "\n".join(_sentences(found))


def _sentences(found: Found) -> list[str]:
    reading = found.reading
    lines = [
        f"{len(found.rates)} updates with learning rates from {found.rates[0]:.2g} to "
        f"{found.rates[-1]:.2g}, by {found.metric!r} of each batch, averaged over the last "
        f"{round(1 / (1 - memory(len(found.rates))))}"
    ]
    if reading.lowest is not None:
        lines.append(f"lowest at {reading.lowest:.2g}, steepest at {reading.steepest:.2g}")
    lines.append(
        f"diverged at {reading.diverged:.2g}" if reading.diverged else "diverged at no rate"
    )
    if reading.suggestion is None:
        return [*lines, f"no suggestion: {reading.why}"]
    return [
        *lines,
        f"suggestion: --config.optimizer.learning_rate={reading.suggestion:.2g} (a tenth of the "
        "rate of the lowest loss)",
    ]


def write(folder: epath.Path, title: str, found: Found, config: ConfigDict) -> epath.Path:
    """Writes lr_find.json and lr_find.html to ``folder``; touches no other file.

    Args:
      folder: made if it is not there.
      title: of the page.
      found: the test.
      config: the run's.

    Returns:
      The page's path.
    """
    folder.mkdir(parents=True, exist_ok=True)
    reading = found.reading
    workdir.write_json(
        folder / "lr_find.json",
        {
            "metric": found.metric,
            "suggestion": reading.suggestion,
            **reading._asdict(),
            "rates": found.rates.tolist(),
            "losses": found.losses.tolist(),
            "smoothed": found.smoothed.tolist(),
        },
    )
    sentences = [f"{line[0].upper()}{line[1:]}." for line in _sentences(found)]
    flat = settings.flatten(config)
    body = [
        page.title(title, "learning-rate range test"),
        page.section("Loss over learning rate", page.image(_picture(found))),
        f"<p>{html.escape(' '.join(sentences))}</p>",
        page.note(HOW),
        page.section(
            "Settings", page.table(("key", "value"), [(k, repr(v)) for k, v in flat.items()])
        ),
    ]
    file = folder / "lr_find.html"
    file.write_text(page.document(title, body))
    return file


HOW = (
    "The rate grows by the same factor at each update, from a fresh state, without warm-up; all "
    "other settings are those below. The rate of the lowest loss is at the edge of what works, so "
    "a tenth of it is suggested as the peak of the schedule. The average lags behind the loss by "
    "as many updates as it remembers."
)


def _picture(found: Found) -> draw.Picture:
    reading = found.reading
    whole = found.smoothed[np.isfinite(found.smoothed)]

    def paint(axes: Any) -> None:
        axes.plot(found.rates, found.losses, color=draw.GRID, label=f"{found.metric} of a batch")
        axes.plot(found.rates, found.smoothed, color=draw.COLORS[0], label="average")
        for name, rate, color in (
            ("suggestion", reading.suggestion, draw.COLORS[2]),
            ("steepest", reading.steepest, draw.COLORS[7]),
            ("diverged", reading.diverged, draw.COLORS[3]),
        ):
            if rate is not None:
                axes.axvline(rate, color=color, linestyle="--", label=f"{name} {rate:.2g}")
        axes.set_xscale("log")
        axes.set_xlabel("learning rate")
        if len(whole):  # what diverges would flatten all the rest
            low, start = whole.min(), whole[: max(1, len(found.rates) // 10)].max()
            gap = max(start - low, 1e-12)
            axes.set_ylim(low - 0.2 * gap, start + 0.6 * gap)
        axes.legend()

    return draw.figure(8.0, 4.0, paint)
