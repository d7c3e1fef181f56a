"""Images, or rows of numbers, to numbers, and to intervals that the true ones lie in."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import losses
from jaxdl.data import spread, without_padding
from jaxdl.errors import UserError
from jaxdl.metrics import Mean, Metrics, conformal
from jaxdl.registry import choose
from jaxdl.report import draw
from jaxdl.tasks import (
    Description,
    Run,
    Task,
    check_at_least,
    need_batches,
    over_split,
    register,
)
from jaxdl.tasks.shared import calibrated, inputs, outputs, row_answers
from jaxdl.tasks.shared.calibrated import State

_QUANTILE = "quantile"

# Losses of predictions and targets, both (batch, targets) in deviations of the targets.
LOSSES = {"mse": losses.mse, "mae": losses.mae, "huber": losses.huber, _QUANTILE: losses.quantile}

# Examples that targets' mean and deviation are of, at most; and that a picture shows.
_MOST, _SHOWN = 65536, 200

OutputsOf = Callable[[Any, jax.Array], jax.Array]


class Told(NamedTuple):
    """What is told of targets (batch, targets), and between which it lies.

    Attributes:
      low: the lower end; the prediction itself where there is no interval.
      middle: the prediction.
      high: the upper end, likewise.
    """

    low: jax.Array
    middle: jax.Array
    high: jax.Array


@register("regression", groups=("model", "augment", "pretrained"), derives=("num_classes",))
def regression(
    run: Run, loss: str = "mse", delta: float = 1.0, coverage: float = 0.9, conform: bool = True
) -> Task:
    """Numbers ``target`` (batch, targets) of ``image`` (batch, h, w, c) or ``features`` (batch, d).

    Args:
      run: the run's config and data. The model is any that classifies such inputs.
      loss: "mse", "mae", "huber", or "quantile": of the median, which is what is told then, and of
        the two quantiles that ``coverage`` lies between.
      delta: of "huber", in deviations of the target.
      coverage: share of true numbers that are to lie in their intervals, in (0, 1).
      conform: intervals are widened, or narrowed, until they hold as often as that on the
        validation part (`jaxdl.metrics.conformal`); without quantiles they are the prediction give
        or take what its error is below so often. There are none of either without such a part.

    Images are prepared as by task "classification", rows are standardised a column. The network
    tells targets in deviations from their mean over the training part, as ``loss`` is measured; the
    figures of a whole part are in the targets' own units, means over them where there are several:
    ``mae``, ``rmse``, ``r2`` (1 - squared error over that of the part's own mean), ``coverage`` and
    ``interval_width``, and of quantiles as they were ``coverage_before`` and ``width_before``.
    """
    need_batches(run, "target")
    array = inputs.need(run)
    _check(run, loss, delta, coverage)
    names, units = _names(run.data.train), _units(run.data.train)
    levels = ((1 - coverage) / 2, 0.5, (1 + coverage) / 2) if loss == _QUANTILE else ()
    wanted = len(names) * max(len(levels), 1)
    per_example = functools.partial(loss_of, loss, delta, levels)
    because = "the targets of the data"
    network = outputs.network(run, wanted, because, per_example, lambda found, batch: {})
    outputs_of = network.outputs_of
    tell = functools.partial(margin, bool(levels), coverage)
    known = functools.partial(calibrated.known, outputs_of, tell)
    ready = calibrated.ready_once(known)
    each = jax.jit(functools.partial(figures, outputs_of, bool(levels)))
    over = lambda state, split: over_split(each, split, run.config.eval.batch_size, ready(state))
    said = functools.partial(describe, names)
    predicted = functools.partial(predict, outputs_of, bool(levels))
    answer = row_answers.create(run.data, predicted, said)
    return Task(
        init=functools.partial(calibrated.init, network.init, units, _held(run, coverage, conform)),
        train_step=functools.partial(train_step, network.update),
        eval_step=functools.partial(evaluate, outputs_of, per_example),
        score=functools.partial(_score, over),
        artifacts=functools.partial(_artifacts, over, names, coverage),
        parameters=lambda state: network.parameters(state.learner),
        predict=calibrated.predict(known, predicted) if array == "image" else None,
        answer=calibrated.answer(ready, answer) if array == "features" else None,
        describe=said,
        labels=dict.fromkeys(("prediction", "low", "high"), names),
        check=network.check,
    )


def loss_of(
    kind: str, delta: float, levels: Sequence[float], found: jax.Array, batch: Mapping
) -> jax.Array:
    """(batch,) of outputs (batch, targets), or (batch, targets · levels), and ``target``.

    Args:
      kind: one of LOSSES.
      delta: of "huber".
      levels: of "quantile".
      found: the outputs, in deviations.
      batch: ``target`` (batch, targets), in deviations.
    """
    target = batch["target"]
    if kind == _QUANTILE:
        return losses.quantile(found.reshape(*target.shape, -1), target, jnp.float32(levels))
    return LOSSES[kind](found, target, **({"delta": delta} if kind == "huber" else {}))


def in_deviations(state: State, target: jax.Array) -> jax.Array:
    """Targets (batch, targets) in deviations from their mean over the training part."""
    return (target - state.units["mean"][None]) / state.units["std"][None]


def train_step(
    update: Callable[..., tuple[Any, Metrics]], state: State, batch: Mapping, key: jax.Array
) -> tuple[State, Metrics]:
    """An update by targets in deviations."""
    batch = {**batch, "target": in_deviations(state, batch["target"])}
    return calibrated.train_step(update, state, batch, key)


def evaluate(
    outputs_of: OutputsOf,
    per_example: Callable[[jax.Array, Mapping], jax.Array],
    state: State,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """``loss`` of a batch that may be padded; ``key`` draws nothing."""
    found = outputs_of(state.learner, inputs.given(batch))
    target = in_deviations(state, batch["target"])
    return {"loss": Mean.of(per_example(found, {"target": target}), without_padding(batch))}


def ends(found: jax.Array, quantiles: bool) -> Told:
    """Outputs (batch, outputs) told apart; quantiles that cross are put in order.

    Chernozhukov, Fernández-Val and Galichon, 2010, "Quantile and probability curves without
    crossing": that is never a worse estimate.
    """
    if not quantiles:
        return Told(found, found, found)
    low, middle, high = jnp.moveaxis(jnp.sort(found.reshape(len(found), -1, 3)), -1, 0)
    return Told(low, middle, high)


def margin(
    quantiles: bool, coverage: float, found: jax.Array, state: State
) -> dict[str, jax.Array]:
    """``margin`` (targets,), by which intervals of outputs hold as often as ``coverage`` says.

    Args:
      quantiles: whether outputs are three a target.
      coverage: share of true numbers in their intervals.
      found: outputs of what is held.
      state: the task's, as it is kept.
    """
    own = ends(found, quantiles)
    truth = in_deviations(state, state.held["target"])
    return {"margin": conformal.margin(conformal.scores(own.low, own.high, truth), coverage)}


def told(outputs_of: OutputsOf, quantiles: bool, state: State, given: jax.Array) -> Told:
    """Of images or rows, in deviations, with intervals moved by the state's ``margin``.

    Args:
      outputs_of: (learner, images or rows) -> (batch, outputs).
      quantiles: whether these are three a target.
      state: the task's, ready (`jaxdl.tasks.shared.calibrated.ready`).
      given: images or rows.
    """
    found = ends(outputs_of(state.learner, given), quantiles)
    if not state.held:
        return found
    out = state.held["margin"][None]
    # What is narrowed never leaves out the prediction.
    low = jnp.minimum(found.low - out, found.middle)
    return Told(low, found.middle, jnp.maximum(found.high + out, found.middle))


def predict(
    outputs_of: OutputsOf, quantiles: bool, state: State, given: jax.Array
) -> dict[str, jax.Array]:
    """``prediction`` (batch, targets), and ``low`` and ``high``, in the targets' own units.

    Arguments are `told`'s; where there is no interval there are no ends.
    """
    found = told(outputs_of, quantiles, state, given)
    made = {"prediction": found.middle}
    if quantiles or state.held:
        made |= {"low": found.low, "high": found.high}
    mean, std = state.units["mean"][None], state.units["std"][None]
    return {name: x * std + mean for name, x in made.items()}


def figures(
    outputs_of: OutputsOf, quantiles: bool, state: State, batch: Mapping, key: jax.Array
) -> dict[str, jax.Array]:
    """`predict` of a batch, ``target``, and the quantiles' own ends as ``low_before`` and so on."""
    given = inputs.given(batch)
    made = {**predict(outputs_of, quantiles, state, given), "target": batch["target"]}
    if quantiles and state.held:
        before = predict(outputs_of, True, state._replace(held={}), given)
        made |= {"low_before": before["low"], "high_before": before["high"]}
    return made


def describe(names: Sequence[str], prediction: Mapping[str, np.ndarray]) -> Description:
    """What is told of each target of an example, (targets,) each."""
    there = [name for name in ("prediction", "low", "high") if name in prediction]
    of_each = {
        target: {name: float(prediction[name][i]) for name in there}
        for i, target in enumerate(names)
    }
    between = lambda x: f" ({x['low']:.4g} to {x['high']:.4g})" if "low" in x else ""
    said = [f"{name} {x['prediction']:.4g}{between(x)}" for name, x in of_each.items()]
    return Description("  ".join(said), {"targets": of_each})


def _check(run: Run, loss: str, delta: float, coverage: float) -> None:
    choose("loss", loss, LOSSES)
    check_at_least(0, delta=delta)
    if not 0 < coverage < 1:
        raise UserError(f"config.task.coverage={coverage} must be above 0 and below 1")


def _names(train: Any) -> list[str]:
    count = train.take(np.arange(1))["target"].shape[1]
    return list(getattr(train, "targets", [f"y{i}" for i in range(count)]))


def _units(train: Any) -> dict[str, np.ndarray]:
    """Mean and deviation of the targets, (targets,) float32."""
    found = train.take(spread.evenly(len(train), _MOST))["target"].astype(np.float64)
    std = found.std(axis=0)
    return {"mean": np.float32(found.mean(axis=0)), "std": np.float32(np.where(std > 0, std, 1))}


def _held(run: Run, coverage: float, conform: bool) -> dict[str, np.ndarray]:
    made = calibrated.held(run, conform)
    count, fewest = len(next(iter(made.values()), ())), conformal.fewest(coverage)
    if made and count < fewest:
        raise UserError(
            f"config.task.coverage={coverage} takes {fewest} validation examples, and there are "
            f"{count}: ask for less, or set config.task.conform=false"
        )
    return made


def _score(
    over: Callable[[State, Any], dict[str, np.ndarray]], state: State, split: Any, key: jax.Array
) -> dict[str, float]:
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    found = {name: np.float64(x) for name, x in over(state, split).items()}
    truth, said = found["target"], found["prediction"]
    made = {
        "mae": mean_absolute_error(truth, said),
        "rmse": root_mean_squared_error(truth, said),
        "r2": r2_score(truth, said) if len(truth) > 1 else np.nan,
    }
    for suffix, names in (("", ("coverage", "interval_width")),
                          ("_before", ("coverage_before", "width_before"))):  # fmt: skip
        if f"low{suffix}" in found:
            low, high = found[f"low{suffix}"], found[f"high{suffix}"]
            inside = (low <= truth) & (truth <= high)
            made |= dict(zip(names, (inside.mean(), (high - low).mean()), strict=True))
    return {name: float(value) for name, value in made.items()}


def _artifacts(
    over: Callable[[State, Any], dict[str, np.ndarray]],
    names: Sequence[str],
    coverage: float,
    state: State,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    found = {name: x[:, 0] for name, x in over(state, split).items()}
    shown = spread.evenly(len(found["target"]), _SHOWN)
    few = {name: x[shown] for name, x in found.items()}
    made = {"Predicted and true": _predicted(few, names[0])}
    if "low" in few:
        inside = np.mean((found["low"] <= found["target"]) & (found["target"] <= found["high"]))
        caption = (
            f"{inside:.1%} of {len(found['target'])} true values lie in their intervals, which are "
            f"to hold {coverage:.0%}; their mean width is "
            f"{np.mean(found['high'] - found['low']):.4g}. By the prediction, from low to high."
        )
        made["Intervals"] = _intervals(few, names[0], caption)
    return made


def _predicted(few: Mapping[str, np.ndarray], name: str) -> draw.Picture:
    ends = np.array([min(map(np.min, few.values())), max(map(np.max, few.values()))])

    def paint(axes: Any) -> None:
        axes.plot(ends, ends, color=draw.GRID)
        if "low" in few:
            reach = few["prediction"] - few["low"], few["high"] - few["prediction"]
            axes.errorbar(
                few["target"], few["prediction"], np.abs(reach), fmt="none",
                ecolor=draw.COLORS[0], elinewidth=0.6, alpha=0.4,
            )  # fmt: skip
        axes.scatter(few["target"], few["prediction"], 9, color=draw.COLORS[0], zorder=2)
        axes.set_xlabel(f"true {name}")
        axes.set_ylabel(f"predicted {name}")

    return draw.figure(4.6, 4.4, paint, kind="png", caption="On the line both are the same.")


def _intervals(few: Mapping[str, np.ndarray], name: str, caption: str) -> draw.Picture:
    order = np.argsort(few["prediction"], kind="stable")
    low, high, middle, truth = (few[k][order] for k in ("low", "high", "prediction", "target"))
    place, outside = np.arange(len(order)), (truth < low) | (truth > high)

    def paint(axes: Any) -> None:
        axes.fill_between(place, low, high, color=draw.COLORS[0], alpha=0.2, label="interval")
        axes.plot(place, middle, color=draw.COLORS[0], label="predicted")
        axes.scatter(place[~outside], truth[~outside], 9, color=draw.INK, label="true", zorder=2)
        axes.scatter(place[outside], truth[outside], 14, color=draw.COLORS[1], zorder=2,
                     label="true, outside")  # fmt: skip
        axes.set_ylabel(name)
        axes.legend(loc="upper left")

    return draw.figure(7.0, 3.6, paint, caption=caption)
