"""Which way a metric is good: said where the metric is made, never guessed from its name."""

from collections.abc import Mapping

import numpy as np

from jaxdl.errors import UserError, nearest

LOW, HIGH = "low", "high"

# Of names that mean one thing everywhere. Any other is declared by the task that makes the metric
# (`jaxdl.tasks.Task.directions`), which also counts where it declares one of these.
DIRECTIONS: dict[str, str] = {
    **dict.fromkeys(("loss", "mse", "rmse", "mae", "perplexity", "kl", "fid", "lpips"), LOW),
    **dict.fromkeys(("wer", "cer", "nats_per_byte", "bits_per_byte", "interval_width"), LOW),
    **dict.fromkeys(("accuracy", "auroc", "mean_return", "mean_iou", "psnr", "ssim", "bleu"), HIGH),
    **dict.fromkeys(("average_precision", "f1", "r2"), HIGH),
}


def direction(name: str, declared: Mapping[str, str] | None = None) -> str | None:
    """LOW or HIGH, whichever is better of the metric called ``name``; None where nobody says.

    Args:
      name: of the metric.
      declared: what a task says of its own metrics.

    Raises:
      ValueError: a task declares something else.
    """
    found = {**DIRECTIONS, **(declared or {})}.get(name)
    if found not in (LOW, HIGH, None):
        raise ValueError(f"direction of {name!r} must be {LOW!r} or {HIGH!r}, not {found!r}")
    return found


def need_direction(setting: str, name: str, declared: Mapping[str, str]) -> str:
    """`direction`, of the metric that a setting names.

    Raises:
      UserError: nobody says which way the metric is good.
    """
    found = direction(name, declared)
    if found is None:
        raise UserError(
            f"{setting}={name!r}: neither Task.directions nor jaxdl.metrics.DIRECTIONS says if "
            f"that is better low or high: {nearest(name, {*declared, *DIRECTIONS})}"
        )
    return found


def rank(value: float, direction: str) -> float:
    """A number that is higher the better ``value`` is; what is not finite is worst."""
    if not np.isfinite(value):
        return -np.inf
    return -value if direction == LOW else value


def is_better(value: float, than: float | None, direction: str) -> bool:
    """Whether ``value`` improves on ``than``; any finite value does on None."""
    if than is None:
        return bool(np.isfinite(value))
    return rank(value, direction) > rank(than, direction)
