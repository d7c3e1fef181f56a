"""Time series: what will be there some steps ahead, told from what has been."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxdl import models
from jaxdl.data import without_padding
from jaxdl.errors import UserError
from jaxdl.metrics import LOW, Mean, Metrics, autoregression
from jaxdl.report import draw
from jaxdl.tasks import (
    Run,
    Task,
    build_model,
    check_counts,
    learner,
    need_batches,
    over_split,
    register,
)
from jaxdl.tasks.shared.splits import EachFn

# Of the report: places that free-running continuations start from, horizons that a linear
# autoregression is fitted to, steps of a forecast that are shown.
_STARTS, _HORIZONS, _SHOWN = 64, 12, 300


@register("forecasting")
def forecasting(run: Run, horizon: int = 6, skip: int = 32, ahead: int = 300) -> Task:
    """Forecasts of ``series`` (batch, window, features), ``horizon`` steps ahead at every step.

    Six steps of Mackey-Glass are what Jang, 1993, "ANFIS: Adaptive-Network-Based Fuzzy Inference
    System", and many since compare forecasters on.

    Args:
      run: the run's config and data. The model maps (batch, T, features) to the same shape, and no
        position of its output depends on a later one of its input.
      horizon: steps from the last value that is known to the one that is told.
      skip: steps in front of a window's first forecast that counts, from which a model gathers
        where the series is.
      ahead: steps of the continuations in the report, in which forecasts are taken for the past of
        further ones; no more than are held out.

    The metric of training and evaluation is ``loss``, the mean squared error where each feature has
    deviation 1 over the training part. `score` gives ``rmse``, the root of the mean squared error
    over all held-out steps and features, in the series' own units, and ``rmse_linear_ratio``, that
    over the best linear autoregression's (`jaxdl.metrics.autoregression`, orders 1 to 20), which
    forecasts the same steps from the same past.
    """
    need_batches(run, "series")
    check_counts(horizon=horizon, ahead=ahead)
    window = _check_room(run.config, run.data, horizon, skip)
    module, linear = build_model(run), _Linear(run.data, horizon)
    loss_fn = functools.partial(training_loss, learner.forward(module), horizon, skip)
    start, update = learner.by_config(run, loss_fn)
    predict = jax.jit(functools.partial(_predict, module))
    rows = jax.jit(lambda state, batch, key: predict(state, batch["series"])[:, :-horizon])
    held_out = functools.partial(_forecast, rows, linear, run.config.eval.batch_size)
    continued = functools.partial(_continued, predict, horizon)
    seen = jax.ShapeDtypeStruct((1, window, len(run.data.mean)), jnp.float32)
    return Task(
        init=functools.partial(_init, module, start, run.config),
        train_step=update,
        eval_step=functools.partial(evaluate, predict, horizon, skip),
        score=functools.partial(_score, held_out, linear),
        artifacts=functools.partial(
            _artifacts, jax.jit(continued, static_argnums=2), held_out, linear, window, ahead
        ),
        parameters=lambda state: learner.parameters(state.params, models.call_order(module, seen)),
        directions={"rmse_linear_ratio": LOW},
    )


def squared_error(forecasts: jax.Array, batch: Mapping, horizon: int, skip: int) -> Mean:
    """Of the forecasts (batch, window, features) whose truth is in the window."""
    truth = batch["series"][:, horizon:]
    counts = jnp.broadcast_to(jnp.arange(truth.shape[1]) >= skip, truth.shape[:2])
    weight = batch["weight"][:, horizon:] if "weight" in batch else counts
    weight = without_padding(batch, weight)
    return Mean.of(jnp.square(forecasts[:, :-horizon] - truth).mean(axis=-1), weight)


def training_loss(
    forward: Callable[..., tuple[jax.Array, Any]],
    horizon: int,
    skip: int,
    params: Any,
    model_state: Any,
    batch: Mapping,
    key: jax.Array,
) -> learner.Loss:
    """`squared_error` of a pass of training; ``key`` is dropout's."""
    forecasts, model_state = forward(params, model_state, key, batch["series"])
    return learner.Loss(squared_error(forecasts, batch, horizon, skip), model_state, {})


def evaluate(
    predict: Callable[[learner.Learner, jax.Array], jax.Array],
    horizon: int,
    skip: int,
    state: learner.Learner,
    batch: Mapping,
    key: jax.Array,
) -> Metrics:
    """``loss`` of a batch that may be padded; ``key`` draws nothing."""
    return {"loss": squared_error(predict(state, batch["series"]), batch, horizon, skip)}


def _init(
    module: Any,
    start: Callable[[Mapping], learner.Learner],
    config: Any,
    key: jax.Array,
    batch: Mapping,
) -> learner.Learner:
    one = batch["series"][:1]
    forecasts, variables = module.init_with_output(key, one)
    if forecasts.shape != one.shape:
        raise UserError(
            f"task {config.task.name!r} needs a model of series, (batch, T, features) to the "
            f"same, such as 'lstm_forecaster', not {config.model.name!r}"
        )
    return start(variables)


def _predict(module: Any, state: learner.Learner, series: jax.Array) -> jax.Array:
    return module.apply(state.best_variables, series)


def _continued(
    predict: Callable[[learner.Learner, jax.Array], jax.Array],
    horizon: int,
    state: learner.Learner,
    past: jax.Array,
    steps: int,
) -> jax.Array:
    """(n, steps, features) behind windows of a past (n, window, features)."""

    def block(past: jax.Array, _: None) -> tuple[jax.Array, jax.Array]:
        # The last forecasts of a window are of as many steps behind it.
        new = predict(state, past)[:, -horizon:].astype(past.dtype)
        return jnp.concatenate([past[:, horizon:], new], axis=1), new

    blocks = jax.lax.scan(block, past, length=-(-steps // horizon))[1]
    return blocks.swapaxes(0, 1).reshape(len(past), -1, past.shape[-1])[:, :steps]


def _forecast(
    rows: EachFn, linear: "_Linear", batch_size: int, state: learner.Learner, split: Any
) -> np.ndarray:
    """Of every held-out step, (steps, features) in the series' own units."""
    made = np.asarray(over_split(rows, split, batch_size, state), np.float64)
    counts = split.take(np.arange(len(split)))["weight"][:, linear.horizon :]
    return linear.in_units(made[counts > 0])


def _score(
    held_out: Callable[[learner.Learner, Any], np.ndarray],
    linear: "_Linear",
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, float]:
    found = _rmse(held_out(state, split), linear.truth)
    return {"rmse": found, "rmse_linear_ratio": found / max(linear.rmse, 1e-300)}


def _artifacts(
    continued: Callable[[learner.Learner, np.ndarray, int], jax.Array],
    held_out: Callable[[learner.Learner, Any], np.ndarray],
    linear: "_Linear",
    window: int,
    ahead: int,
    state: learner.Learner,
    split: Any,
    key: jax.Array,
) -> dict[str, Any]:
    steps = min(ahead, len(linear.truth))
    last = len(split.series) - steps
    starts = np.unique(np.linspace(split.start, last, _STARTS).astype(np.int64))
    past = np.stack([split.series[start - window : start] for start in starts])
    made = linear.in_units(np.asarray(continued(state, past, steps), np.float64))
    return {
        "Forecast": _shown(linear, held_out(state, split), linear.horizon),
        "Free-running": _continuation(linear, made[0]),
        "Error by horizon": _by_horizon(linear, made, starts),
    }


def _check_room(config: Any, data: Any, horizon: int, skip: int) -> int:
    """The steps of a window, if they have room for what comes before the forecasts that count."""
    if skip < 0:
        raise UserError(f"config.task.skip={skip} must be at least 0")
    window, stride = data.test.window, data.test.stride
    if window - stride < skip + horizon:
        raise UserError(
            f"config.task.skip={skip} and config.task.horizon={horizon} leave of config.data."
            f"window={window} fewer steps than config.data.stride={stride} wants forecast"
        )
    return window


def _rmse(forecasts: np.ndarray, truth: np.ndarray) -> float:
    return float(np.sqrt(np.square(forecasts - truth).mean()))


class _Linear:
    """The series in its own units, and what the best linear autoregression says of it.

    Args:
      data: `jaxdl.data.Data` of a series.
      horizon: steps ahead.
    """

    def __init__(self, data: Any, horizon: int):
        self._data, self.horizon = data, horizon
        self.start = data.test.start
        self._model = autoregression.best(self.series[: self.start], horizon)

    def in_units(self, scaled: np.ndarray) -> np.ndarray:
        """(…, features) as the run sees them to the series' own units."""
        return scaled * self._data.std + self._data.mean

    @functools.cached_property
    def series(self) -> np.ndarray:
        """(steps, features) float64, training part and held-out part."""
        return self.in_units(self._data.test.series)

    @property
    def order(self) -> int:
        """Values that a forecast is made from."""
        return len(self._model.weights)

    @property
    def truth(self) -> np.ndarray:
        """(held-out steps, features)."""
        return self.series[self.start :]

    @functools.cached_property
    def forecasts(self) -> np.ndarray:
        """Of the same steps."""
        return self._model(self.series, self.start, len(self.series))

    @property
    def rmse(self) -> float:
        """Of these."""
        return _rmse(self.forecasts, self.truth)

    @property
    def rmse_of_last_value(self) -> float:
        """Of the last value that is known as the forecast."""
        first = self.start - self.horizon
        return _rmse(self.series[first : len(self.series) - self.horizon], self.truth)

    def errors_ahead(self, starts: np.ndarray, horizons: np.ndarray) -> list[float]:
        """RMSE at each of ``horizons`` behind ``starts``, by its own best autoregression.

        NaN where the training part is too short for any.
        """
        found = []
        for horizon in horizons:
            places = starts + horizon - 1
            try:
                model = autoregression.best(self.series[: self.start], int(horizon))
            except UserError:
                found.append(np.nan)
                continue
            made = np.concatenate([model(self.series, place, place + 1) for place in places])
            found.append(_rmse(made, self.series[places]))
        return found


def _shown(linear: _Linear, forecasts: np.ndarray, horizon: int) -> draw.Picture:
    """The first held-out steps of the first feature, and the errors of both forecasts of them."""
    truth, other = linear.truth[:_SHOWN, 0], linear.forecasts[:_SHOWN, 0]
    made, place = forecasts[:_SHOWN, 0], np.arange(min(_SHOWN, len(forecasts)))

    def paint(axes: Any) -> None:
        above, below = axes
        above.plot(place, truth, label="truth", color=draw.INK)
        above.plot(place, made, label="network", color=draw.COLORS[0], linestyle="--")
        draw.beside(above)
        above.set_title(f"{horizon} steps ahead", loc="left")
        below.plot(place, other - truth, label="linear", color=draw.COLORS[1])
        below.plot(place, made - truth, label="network", color=draw.COLORS[0])
        draw.beside(below)
        below.set_title("error", loc="left")
        below.set_xlabel("steps behind the training part")

    figures = (
        ("the network", _rmse(forecasts, linear.truth)),
        (f"a linear autoregression of order {linear.order}", linear.rmse),
        ("the last value", linear.rmse_of_last_value),
    )
    said = ", ".join(f"{name} {value:.3g}" for name, value in figures)
    return draw.figure(
        7.5, 4.2, paint, rows=2, caption=f"RMSE of all {len(forecasts)} held-out steps: {said}."
    )


def _continuation(linear: _Linear, made: np.ndarray) -> draw.Picture:
    """The first feature behind the training part, and what the network makes of it by itself."""
    place = np.arange(1, len(made) + 1)
    lines = {"truth": (place, linear.truth[: len(made), 0]), "network": (place, made[:, 0])}
    return draw.curves(
        "continued from the training part alone", lines, xlabel="steps behind the training part"
    )


def _by_horizon(linear: _Linear, made: np.ndarray, starts: np.ndarray) -> draw.Picture:
    """RMSE of continuations (starts, steps, features), and of what they have to beat."""
    steps = made.shape[1]
    place = np.arange(1, steps + 1)
    truth = linear.series[starts[:, None] + place - 1]
    rmse = lambda forecasts: np.sqrt(np.square(forecasts - truth).mean(axis=(0, 2)))
    chosen = np.unique(np.geomspace(1, steps, _HORIZONS).round().astype(np.int64))
    lines = {
        "network, free-running": (place, rmse(made)),
        "linear, fitted to each horizon": (chosen, linear.errors_ahead(starts, chosen)),
        "last value": (place, rmse(linear.series[starts - 1][:, None])),
    }
    return draw.curves(f"RMSE over {len(starts)} starts", lines, xlabel="steps ahead", log=True)
