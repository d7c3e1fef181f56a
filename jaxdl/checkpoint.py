"""Checkpoints: the newest few and the best one, written in the background by Orbax."""

import logging
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple

import jax
import orbax.checkpoint as ocp
from etils import epath
from orbax.checkpoint.checkpoint_managers import preservation_policy

from jaxdl.errors import UserError

FORMAT = 1


class Restored(NamedTuple):
    """What a checkpoint held.

    Attributes:
      tree: the pytrees by name, on the devices that were asked for.
      meta: what the loop wrote beside them.
    """

    tree: dict[str, Any]
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, under ``workdir/checkpoints``.

    Args:
      workdir: the run's folder, local or remote.
      config: reads ``checkpoint.keep`` and ``eval.best``.
    """

    def __init__(self, workdir: epath.Path, config: Any):
        # Orbax tells of each file it writes; what a user needs to know the loop says.
        logging.getLogger("absl").setLevel(logging.ERROR)
        # Beside the newest, the best: without a policy of both, Orbax deletes the newest
        # checkpoint when it is not among the best, and a resumed run goes backwards.
        best = preservation_policy.BestN(
            get_metric_fn=lambda metrics: metrics["rank"],
            n=1,
            keep_checkpoints_without_metrics=False,
        )
        newest = preservation_policy.LatestN(config.checkpoint.keep)
        self._manager = ocp.CheckpointManager(
            epath.Path(workdir).resolve() / "checkpoints",
            options=ocp.CheckpointManagerOptions(
                preservation_policy=preservation_policy.AnyPreservationPolicy([newest, best]),
                best_fn=lambda metrics: metrics["rank"],
                enable_async_checkpointing=True,
            ),
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None
    ) -> None:
        # Waits for the last write, and raises if a write failed.
        self._manager.close()

    def save(
        self, step: int, tree: Mapping[str, Any], meta: Mapping[str, Any], rank: float | None
    ) -> None:
        """Writes a checkpoint in the background; the arrays may be donated when this returns.

        Args:
          step: names it.
          tree: pytrees of arrays by name.
          meta: what JSON can hold.
          rank: the higher the better, for keeping the best; None where it was not evaluated.
        """
        if step in self._manager.all_steps():
            return
        self._manager.save(
            step,
            args=ocp.args.Composite(
                meta=ocp.args.JsonSave({"format": FORMAT, **meta}),
                **{name: ocp.args.StandardSave(part) for name, part in tree.items()},
            ),
            metrics=None if rank is None else {"rank": rank},
        )

    def wait(self) -> None:
        """Returns when everything is written; raises what the writer raised."""
        self._manager.wait_until_finished()

    def latest_step(self) -> int | None:
        """The newest checkpoint's step, None without any."""
        return self._manager.latest_step()

    def best_step(self) -> int | None:
        """The best checkpoint's step, None if none was ranked."""
        return self._manager.best_step()

    def restore(self, step: int, abstract: Mapping[str, Any]) -> Restored:
        """Reads a checkpoint onto the devices that ``abstract`` names.

        Args:
          step: which.
          abstract: pytrees by name of `jax.ShapeDtypeStruct` with shardings.

        Raises:
          UserError: the checkpoint does not have these leaves.
        """
        try:
            restored = self._manager.restore(
                step,
                args=ocp.args.Composite(
                    meta=ocp.args.JsonRestore(),
                    **{name: ocp.args.StandardRestore(part) for name, part in abstract.items()},
                ),
            )
        except (ValueError, KeyError, TypeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"checkpoint {step} does not fit this model and optimizer: {reason}"
            ) from error
        return Restored({name: restored[name] for name in abstract}, restored["meta"])


def restore(workdir: epath.PathLike, step: int | None = None) -> Any:
    """The state of a run, for research code: one call, on whatever devices there are.

    Args:
      workdir: a run's folder.
      step: of the checkpoint; the newest if None.

    Returns:
      The state's pytree as nested dicts and lists of arrays: ``["params"]`` are the parameters.

    Raises:
      UserError: no checkpoint there.
    """
    folder = epath.Path(workdir).resolve() / "checkpoints"
    steps = ocp.utils.checkpoint_steps(folder) if folder.is_dir() else []
    if not steps:
        raise UserError(f"{workdir} holds no checkpoint")
    step = max(steps) if step is None else step
    if step not in steps:
        raise UserError(f"{workdir} has no checkpoint {step}: it has {sorted(steps)}")
    logging.getLogger("absl").setLevel(logging.ERROR)
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    with ocp.StandardCheckpointer() as reader:
        saved = reader.metadata(folder / str(step) / "state").item_metadata.tree
        abstract = jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here), saved
        )
        return reader.restore(folder / str(step) / "state", abstract)
