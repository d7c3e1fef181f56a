"""Checkpoints: the newest few and the best one, written in the background, verified when read.

Beside the arrays stands what each must be: name, shape, dtype and checksum. A checkpoint that does
not hold what it says is damaged, and the newest sound one takes its place; one that holds something
else than the run wants is an error of the user's, and says so.
"""

import contextlib
import functools
import importlib
import json
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath

from jaxdl import keys, parallel, paths
from jaxdl.errors import DamagedError, UserError, WriteError
from jaxdl.runs import complaints
from jaxdl.runs.checksum import checksums, checksums_on_host, damaged
from jaxdl.trees import path_name

FORMAT = 1

_WIDE = ("int64", "uint64", "float64", "complex128")


def prepare() -> None:
    """Imports what checkpoints are written with, a quarter of a second."""
    importlib.import_module("orbax.checkpoint")


class Restored(NamedTuple):
    """What a checkpoint held.

    Attributes:
      step: its name.
      tree: the pytrees by name, on the devices that were asked for.
      meta: what the loop wrote beside them.
    """

    step: int
    tree: dict[str, Any]
    meta: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run, under ``workdir/checkpoints``.

    Args:
      workdir: the run's folder, local or remote.
      config: reads ``checkpoint.keep``.
      say: is told, in one line, of each checkpoint that is damaged.
      read_only: leaves the folder as it is, damaged checkpoints too: it is another's, who may be at
        work there.
    """

    def __init__(
        self,
        workdir: epath.Path,
        config: Any,
        say: Callable[[str], None] = print,
        read_only: bool = False,
    ):
        complaints.keep_quiet()
        self._keep = config.checkpoint.keep
        self._folder = epath.Path(workdir).resolve() / "checkpoints"
        self._say, self._read_only = say, read_only
        # Orbax takes 20 to 50 ms to hand a write over to its threads, so a single process leaves
        # all of it to a thread. Several must agree on the order of what they do together.
        self._alone = jax.process_count() == 1
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._saving: tuple[int, Future[None] | None] | None = None
        if not read_only:
            self._set_aside_empty()
        self._opened: Any = None
        self._ranks: dict[int, float] = {}
        # A run that begins has nothing to read: Orbax is imported while it computes.
        if self._folder.exists() or not self._alone:
            _ = self._manager
        for step in self._steps():
            # A damaged one is told of when it is read for its arrays.
            with contextlib.suppress(DamagedError):
                if (rank := self._read_manifest(step).get("rank")) is not None:
                    self._ranks[step] = rank

    @property
    def _manager(self) -> Any:
        """Orbax's, made when it is first needed."""
        if self._opened is None:
            import orbax.checkpoint as ocp

            self._opened = ocp.CheckpointManager(
                self._folder,
                options=ocp.CheckpointManagerOptions(
                    preservation_policy=self,
                    enable_async_checkpointing=not self._alone,
                    read_only=self._read_only,
                ),
            )
        return self._opened

    def _steps(self) -> list[int]:
        return [] if self._opened is None else self._opened.all_steps()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None
    ) -> None:
        # What is being written is finished in any case; a failure to would hide an error that is
        # already on its way.
        with contextlib.suppress(Exception) if kind else contextlib.nullcontext():
            self.wait()
        self._thread.shutdown()
        with contextlib.suppress(Exception) if kind else contextlib.nullcontext():
            if self._opened is not None:
                self._opened.close()

    def should_preserve(self, checkpoints: Any, *, context: Any) -> list[bool]:
        """Orbax's question which checkpoints stay: the newest ones and the best one.

        (Orbax's own policy reads ranks from files of its own, and a damaged one stops everything.)
        """
        steps = [checkpoint.step for checkpoint in checkpoints]
        kept = {*sorted(steps)[-self._keep :], self.best_step()}
        return [step in kept for step in steps]

    # Writing

    def save(
        self, step: int, tree: Mapping[str, Any], meta: Mapping[str, Any], rank: float | None
    ) -> None:
        """Writes a checkpoint in the background; the arrays may be donated when this returns.

        Args:
          step: names it.
          tree: pytrees of arrays by name.
          meta: what JSON can hold.
          rank: the higher the better, for keeping the best; None where it was not evaluated.

        Raises:
          WriteError: this write, or the one before it, failed.
        """
        self.wait()
        if step in self._steps():
            return
        if rank is not None:
            self._ranks[step] = rank
        content = {"format": FORMAT, "meta": dict(meta), "rank": rank}
        if self._alone:
            copies = jax.tree.map(_own_copy, dict(tree))
            write = functools.partial(self._write, step, copies, content, checksums_on_host)
            self._saving = step, self._thread.submit(write)
        else:
            with _failing_as_write_error(step):
                self._write(step, tree, content, checksums)
            self._saving = step, None

    def _write(
        self,
        step: int,
        tree: Mapping[str, Any],
        content: dict[str, Any],
        sums: Callable[[Any], dict[str, int]],
    ) -> None:
        import orbax.checkpoint as ocp

        content["leaves"] = _manifest(tree, sums(tree))
        args = ocp.args.Composite(
            manifest=ocp.args.JsonSave({"crc": _crc(content), "content": content}),
            **{name: ocp.args.StandardSave(_storable(part)) for name, part in tree.items()},
        )
        self._manager.save(step, args=args)

    def wait(self) -> None:
        """Returns when everything is written; raises WriteError if something was not."""
        if self._saving is None:
            return
        (step, future), self._saving = self._saving, None
        with _failing_as_write_error(step):
            if future:
                future.result()
            self._manager.wait_until_finished()

    # Reading

    def latest_step(self) -> int | None:
        """The newest checkpoint's step, None without any."""
        return max(self._steps(), default=None)

    def best_step(self) -> int | None:
        """The best checkpoint's step, None if none was ranked."""
        there = [step for step in self._steps() if step in self._ranks]
        # Of equals the first: it is the one that evaluation called the best.
        return max(there, key=lambda step: (self._ranks[step], -step), default=None)

    def restore(self, abstract: Mapping[str, Any], first: int | None = None) -> Restored | None:
        """Reads the newest sound checkpoint onto the devices that ``abstract`` names.

        Damaged ones are told of, and moved to ``workdir/damaged`` once a sound one was read, unless
        they are only read.

        Args:
          abstract: pytrees by name of `jax.ShapeDtypeStruct` with shardings.
          first: a step to try before all others.

        Returns:
          None if there is no checkpoint at all.

        Raises:
          DamagedError: none is sound; nothing was touched.
          UserError: a checkpoint has other leaves, shapes or dtypes, or a newer format.
        """
        steps = sorted(self._steps(), reverse=True)
        if first in steps:
            steps.remove(first)
            steps.insert(0, first)
        broken: dict[int, str] = {}
        for step in steps:
            try:
                restored = self._read(step, abstract)
            except DamagedError as error:
                broken[step] = str(error)
                continue
            for other, reason in broken.items():
                if self._read_only:
                    self._say(f"checkpoint {other} is damaged ({reason}): {step} is used")
                    continue
                self._say(f"checkpoint {other} is damaged ({reason}): set aside, {step} is used")
                self._set_aside(other)
            return restored
        if not broken:
            return None
        told = "; ".join(f"{step}: {reason}" for step, reason in broken.items())
        raise DamagedError(
            f"no checkpoint in {self._folder} is sound ({told}); nothing was changed"
        )

    def _read(self, step: int, abstract: Mapping[str, Any]) -> Restored:
        import orbax.checkpoint as ocp

        content = self._read_manifest(step)
        if content["format"] > FORMAT:
            raise UserError(
                f"checkpoint {step} has format {content['format']}, written by a newer jaxdl; this "
                f"one reads up to {FORMAT}: upgrade jaxdl"
            )
        leaves = {n: v for n, v in content["leaves"].items() if n.split("/")[0] in abstract}
        _check_fits(step, leaves, abstract)
        folder = self._folder / str(step)
        storable = {name: _storable(part) for name, part in abstract.items()}
        parts = {}
        for name, part in storable.items():
            own = [leaf for leaf in leaves if leaf.split("/")[0] == name]
            parts[name] = ocp.args.StandardRestore(_arranged(part, _saved_tree(folder / name, own)))
        try:
            restored = self._manager.restore(step, args=ocp.args.Composite(**parts))
            is_key = jax.tree.map(keys.is_own, dict(abstract))
            tree = {name: _arranged(restored[name], part) for name, part in storable.items()}
            tree = _with_keys(tree, is_key)
        except Exception as error:
            raise DamagedError(complaints.reason(error, folder, leaves)) from error
        sums = {name: leaf["sum"] for name, leaf in leaves.items()}
        wrong = damaged(tree, sums)
        if wrong:
            more = f" and {len(wrong) - 1} more" if len(wrong) > 1 else ""
            raise DamagedError(f"checksum of {wrong[0]}{more} is wrong")
        return Restored(step, tree, content["meta"])

    def _read_manifest(self, step: int) -> dict[str, Any]:
        import orbax.checkpoint as ocp

        read = lambda: self._manager.restore(
            step, args=ocp.args.Composite(manifest=ocp.args.JsonRestore())
        )["manifest"]
        return _content(read)

    def _set_aside_empty(self) -> None:
        """Empty folders would count as the newest checkpoints: Orbax looks at names alone."""
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name.isdigit() and not any(path.iterdir()):
                    self._say(f"checkpoint {path.name} is damaged (an empty folder): set aside")
                    self._move(path)

    def _set_aside(self, step: int) -> None:
        self._move(self._folder / str(step))
        self._manager.reload()

    def _move(self, path: epath.Path) -> None:
        aside = self._folder.parent / "damaged"
        if jax.process_index() == 0:
            aside.mkdir(parents=True, exist_ok=True)
            target = aside / path.name
            if target.exists():
                target.rmtree()
            path.rename(target)
        parallel.wait_for_all("set aside")


def _storable(tree: Any) -> Any:
    """Orbax reads only keys of generators that JAX knows by name: of ours the words are stored."""
    return jax.tree.map(keys.words, tree)


def _arranged(tree: Any, like: Any) -> Any:
    """The leaves of ``tree`` as ``like`` has them, which has those of the same names.

    The two may differ in what holds no array, of which Orbax would refuse it: a field that is None
    since a later version, or is no more.
    """
    leaves = {path_name(path): x for path, x in jax.tree_util.tree_leaves_with_path(tree)}
    return jax.tree_util.tree_map_with_path(lambda path, _: leaves[path_name(path)], like)


def _with_keys(tree: Any, is_key: Any) -> Any:
    return jax.tree.map(lambda x, it_is: keys.of_words(x) if it_is else x, tree, is_key)


@contextlib.contextmanager
def _failing_as_write_error(step: int) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        line = complaints.first_line(error)
        raise WriteError(f"checkpoint {step} could not be written: {line}") from error


def _own_copy(x: jax.Array) -> np.ndarray | jax.Array:
    """A copy on the host, where there is room; the array itself may be donated then."""
    if jnp.issubdtype(x.dtype, jax.dtypes.extended):
        return jnp.copy(x)
    return np.array(x)


def _manifest(tree: Mapping[str, Any], sums: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """{leaf name: its shape, dtype and checksum}."""
    shapes = _shapes(tree)
    return {name: {**shapes[name], "sum": sums[name]} for name in sums}


def _shapes(tree: Any) -> dict[str, dict[str, Any]]:
    return {
        path_name(path): {"shape": list(x.shape), "dtype": str(x.dtype)}
        for path, x in jax.tree_util.tree_leaves_with_path(tree)
    }


def _check_fits(step: int, saved: Mapping[str, Any], abstract: Mapping[str, Any]) -> None:
    """The leaves that a run wants are those that were saved, in shape and dtype."""
    wanted = _shapes(abstract)
    for name in sorted({*saved, *wanted}, key=lambda name: ("/params/" not in name, name)):
        if name not in wanted:
            fault = f"has {name}, which this model and optimizer have not"
        elif name not in saved:
            fault = f"lacks {name}, which this model and optimizer have"
        else:
            here, there = wanted[name], {k: saved[name][k] for k in ("shape", "dtype")}
            if here == there:
                continue
            _check_width(step, name, there["dtype"])
            show = lambda leaf: f"{leaf['dtype']}{leaf['shape']}"
            fault = f"has {name} as {show(there)}, not {show(here)}"
        raise UserError(f"checkpoint {step} {fault}: use the config it was written with")


def _check_width(step: int, name: str, dtype: str) -> None:
    """JAX narrows what is wider than its setting in silence, and no checksum survives that."""
    if dtype in _WIDE and not jax.config.read("jax_enable_x64"):
        raise UserError(
            f"checkpoint {step} has {name} as {dtype}, written with jax_enable_x64: set "
            "JAX_ENABLE_X64=1 to read it"
        )


def _content(read: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """What the manifest that ``read`` returns holds, if it is what was written."""
    try:
        stored = read()
        content, crc = stored["content"], stored["crc"]
    except FileNotFoundError as error:
        raise DamagedError("its manifest is missing") from error
    except Exception as error:
        raise DamagedError("its manifest is not what was written") from error
    if crc != _crc(content):
        raise DamagedError("checksum of its manifest is wrong")
    return content


def _saved_tree(path: epath.Path, leaves: Collection[str]) -> Any:
    """The tree of shapes that Orbax keeps beside a pytree of arrays, which has ``leaves``."""
    import orbax.checkpoint as ocp

    if wrong := complaints.check_index(path, leaves):
        raise DamagedError(wrong)
    with ocp.StandardCheckpointer() as reader:
        try:
            return reader.metadata(path).item_metadata.tree
        except Exception as error:
            raise DamagedError(f"{path.name}/_METADATA is not what was written") from error


def _crc(content: Any) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())


def restore(workdir: epath.PathLike, step: int | None = None) -> Any:
    """The state of a run, for research code: one call, on whatever devices there are.

    Args:
      workdir: a run's folder.
      step: of the checkpoint; the newest if None.

    Returns:
      The state's pytree as nested dicts and lists of arrays, ``["params"]`` among them, whole on
      the first device.

    Raises:
      UserError: no checkpoint there; it was written with `jax_enable_x64`, which is off.
      DamagedError: it is not what was written.
    """
    import orbax.checkpoint as ocp

    folder = epath.Path(paths.expanded(str(workdir))).resolve() / "checkpoints"
    steps = ocp.utils.checkpoint_steps(folder) if folder.is_dir() else []
    if not steps:
        raise UserError(f"{workdir} holds no checkpoint")
    step = max(steps) if step is None else step
    if step not in steps:
        raise UserError(f"{workdir} has no checkpoint {step}: it has {sorted(steps)}")
    complaints.keep_quiet()
    here, own = jax.sharding.SingleDeviceSharding(jax.devices()[0]), str(keys.abstract().dtype)
    folder = folder / str(step)
    leaves: Mapping[str, Any] = {}
    try:
        with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
            leaves = _content(lambda: reader.restore(folder / "manifest"))["leaves"]
        leaves = {name: leaf for name, leaf in leaves.items() if name.startswith("state/")}
        for name, leaf in leaves.items():
            _check_width(step, name, leaf["dtype"])
        saved = _saved_tree(folder / "state", leaves)
        with ocp.StandardCheckpointer() as reader:
            shape = lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=here)
            state = reader.restore(folder / "state", jax.tree.map(shape, saved))
        is_key = lambda path, _: leaves[f"state/{path_name(path)}"]["dtype"] == own
        state = _with_keys(state, jax.tree_util.tree_map_with_path(is_key, state))
    except DamagedError as error:
        raise DamagedError(f"checkpoint {step} is damaged: {error}") from error
    except UserError:
        raise
    except Exception as error:
        why = complaints.reason(error, folder, leaves)
        raise DamagedError(f"checkpoint {step} is damaged: {why}") from error
    sums = {name: leaf["sum"] for name, leaf in leaves.items()}
    wrong = damaged({"state": state}, sums)
    if wrong:
        raise DamagedError(f"checkpoint {step} is damaged: checksum of {wrong[0]} is wrong")
    return state
