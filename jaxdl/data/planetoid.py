"""Citation graphs in the files of Yang, Cohen and Salakhutdinov, 2016 (Cora, Citeseer, PubMed)."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from jaxdl.data import Whole, graph, register
from jaxdl.errors import UserError, one_line

_PARTS = ("x", "y", "tx", "ty", "allx", "ally", "graph", "test.index")


@register("planetoid")
def planetoid(path: str = "") -> Whole:
    """The graph in ``ind.NAME.x``, ``.y``, ``.tx``, … with its own training and test nodes.

    Features are scaled to a sum of 1 a node, as Kipf and Welling do.

    Args:
      path: the folder, or folder/ind.NAME where it holds several.
    """
    prefix = _prefix(Path(path))
    read = lambda part: _read(Path(f"{prefix}.{part}"))
    y, tx, ty, allx, ally = (read(part) for part in _PARTS[1:6])
    where = str(prefix)
    try:
        test = np.loadtxt(f"{prefix}.test.index", dtype=np.int64, ndmin=1)
    except ValueError as error:
        raise UserError(f"{prefix}.test.index: not one node index a line ({error})") from None
    if len(test) != tx.shape[0] or len(np.unique(test)) != len(test):
        raise UserError(
            f"{prefix}.test.index: {len(test)} nodes, but {prefix}.tx has {tx.shape[0]}"
        )
    # Test nodes come shuffled, and some isolated ones may be missing from all files but the graph.
    nodes = max(int(test.max()) + 1, allx.shape[0])
    features = np.zeros((nodes, allx.shape[1]), np.float32)
    classes = np.zeros((nodes, ally.shape[1]), np.float32)
    features[: allx.shape[0]], classes[: allx.shape[0]] = _dense(allx), ally
    features[test], classes[test] = _dense(tx), ty
    features /= np.maximum(features.sum(axis=1, keepdims=True), 1e-12)
    edges = [(a, b) for a, others in read("graph").items() for b in others]
    index = np.arange(nodes)
    return Whole(
        graph.create(
            features,
            edges,
            classes.argmax(axis=1),
            where,
            [str(i) for i in range(classes.shape[1])],
            train=index < len(y),
            test=np.isin(index, test),
        )
    )


def _prefix(path: Path) -> Path:
    """folder/ind.NAME, whose parts are all there."""
    if path.is_dir():
        found = sorted(path.glob("ind.*.graph"))
        if len(found) != 1:
            names = ", ".join(str(f).removesuffix(".graph") for f in found) or "none"
            raise UserError(
                f"config.data.path={path}: one graph's files ind.NAME.graph … are wanted, there "
                f"are {names}"
            )
        path = Path(str(found[0]).removesuffix(".graph"))
    missing = [part for part in _PARTS if not Path(f"{path}.{part}").is_file()]
    if missing:
        raise UserError(f"config.data.path={path}: there is no file {path}.{missing[0]}")
    return path


class _Unpickler(pickle.Unpickler):
    """Reads arrays and dictionaries only: a pickle may otherwise run any code."""

    _ROOTS = ("numpy", "scipy")

    def find_class(self, module: str, name: str) -> Any:
        """The class ``name``, if it is one of NumPy's, SciPy's or a plain collection."""
        plain = (module, name) in (("collections", "defaultdict"), ("__builtin__", "list"))
        array = module.split(".")[0] in self._ROOTS and name in (
            "csr_matrix", "ndarray", "dtype", "_reconstruct", "scalar",
        )  # fmt: skip
        if plain or array or (module, name) == ("_codecs", "encode"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not part of a graph")


def _read(file: Path) -> Any:
    try:
        with file.open("rb") as stream:
            found = _Unpickler(stream, encoding="latin1").load()
    except Exception as error:  # a broken pickle may raise anything
        raise UserError(f"{file}: not a file of a Planetoid graph ({one_line(error)})") from None
    wanted = isinstance(found, dict) if file.suffix == ".graph" else _axes(found) == 2
    if not wanted:
        kind = type(found).__name__
        raise UserError(f"{file}: not a file of a Planetoid graph (it holds {kind})")
    return found


def _axes(array: Any) -> int:
    return len(getattr(array, "shape", ()))


def _dense(matrix: Any) -> np.ndarray:
    return matrix.toarray() if hasattr(matrix, "toarray") else np.asarray(matrix)
