"""Graphs of one's own, in the text files of TUDataset (Morris et al., 2020)."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxdl.data import Data, register
from jaxdl.data.graph_examples import Example, Graphs, data
from jaxdl.errors import UserError

# What is there often and not read, the former unless it is asked for.
_OF_EDGES, _UNREAD = ("edge_labels", "edge_attributes"), ("graph_attributes",)
_WHOLE = 2**31 - 1


class Files(NamedTuple):
    """What a folder holds.

    Attributes:
      graphs: each one's features (nodes, features), and edges (edges, 2) within it, in the order
        of their numbers.
      labels: (graphs,) int64 as they stand there; None without a file of them.
      node_labels: the values that nodes' labels have in turn, () without a file of them.
      edge_features: each graph's (edges, features), or None where they are not read.
      edge_labels: as node_labels.
      notes: what is worth knowing, a line each.
    """

    graphs: list[tuple[np.ndarray, np.ndarray]]
    labels: np.ndarray | None
    node_labels: tuple[int, ...]
    edge_features: list[np.ndarray] | None
    edge_labels: tuple[int, ...]
    notes: tuple[str, ...]


@register("tudataset")
def tudataset(
    path: str = "",
    edge_features: bool = False,
    lengths: int = 1,
    split: str = "random",
    test_fraction: float = 0.1,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """Graphs in ``DS_A.txt``, ``DS_graph_indicator.txt`` and ``DS_graph_labels.txt``.

    A node's features are its row of ``DS_node_attributes.txt``, and 1 at its place among the labels
    of ``DS_node_labels.txt``, of which one file or both may be missing; without either it is 1.

    Args:
      path: the folder, or folder/DS where it holds several.
      edge_features: edges have features, made of ``DS_edge_attributes.txt`` and
        ``DS_edge_labels.txt`` as those of nodes are, which models "gin" and "gat" read.
      lengths: that batches may have, at most; more leave less padding (`jaxdl.data.length_groups`).
      split: "random" or "halves".
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test" or "validation".

    Raises:
      UserError: files that are missing or do not fit together; the line names file and row.
    """
    found = read(path, edges=edge_features)
    if found.labels is None:
        raise UserError(f"data.path={path!r}: there is no file {prefix(path)}_graph_labels.txt")
    values, labels = np.unique(found.labels, return_inverse=True)
    graphs = examples_of(found, labels)
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on=eval_on)
    return data(graphs, tuple(map(str, values)), lengths=lengths, notes=found.notes, **how)


def examples_of(found: Files, labels: Sequence[int] | None = None) -> Graphs:
    """The graphs of files, of classes ``labels`` (graphs,); all of class 0 if None."""
    count = len(found.graphs)
    columns = labels if labels is not None else [0] * count, found.edge_features or [None] * count
    examples = [Example(*graph, *rest) for graph, *rest in zip(found.graphs, *columns, strict=True)]
    told = lambda values: " ".join(map(str, values))
    return Graphs(
        examples, node_labels=told(found.node_labels), edge_labels=told(found.edge_labels)
    )


def read(
    path: str,
    node_labels: Sequence[int] = (),
    edges: bool = False,
    edge_labels: Sequence[int] = (),
) -> Files:
    """The files of a folder, checked.

    Args:
      path: as of `tudataset`.
      node_labels: the values that nodes' labels may have; those of the file if ().
      edges: whether features of edges are read.
      edge_labels: as node_labels.

    Raises:
      UserError: as of `tudataset`.
    """
    stem = prefix(path)
    file = lambda name: Path(f"{stem}_{name}.txt")
    owner = _whole(file("graph_indicator"), 1)[:, 0]
    _check(owner >= 1, file("graph_indicator"), lambda i: f"graph {owner[i]} is below 1")
    labels = _whole(file("graph_labels"), 1)[:, 0] if file("graph_labels").is_file() else None
    count = int(owner.max()) if labels is None else len(labels)
    _check(
        owner <= count,
        file("graph_indicator"),
        lambda i: f"graph {owner[i]} has no label: {file('graph_labels').name} has {count} rows",
    )
    pairs = _whole(file("A"), 2)
    missing = lambda i: pairs[i][(pairs[i] < 1) | (pairs[i] > len(owner))][0]
    _check(
        ((pairs >= 1) & (pairs <= len(owner))).all(axis=1),
        file("A"),
        lambda i: (
            f"node {missing(i)} is not there: with {len(owner)} nodes they go from 1 to "
            f"{len(owner)}"
        ),
    )
    pairs = pairs - 1
    ends = owner[pairs]
    _check(
        ends[:, 0] == ends[:, 1],
        file("A"),
        lambda i: f"an edge between graphs {ends[i][0]} and {ends[i][1]}",
    )
    columns, node_labels = _features(file, "node", len(owner), tuple(node_labels))
    features = _joined(columns or [np.ones((len(owner), 1))])
    columns, edge_labels = [], ()
    if edges:
        columns, edge_labels = _features(file, "edge", len(pairs), tuple(edge_labels))
        if not columns:
            raise UserError(
                "data.edge_features=True: there is no file "
                + " or ".join(file(name).name for name in _OF_EDGES)
            )
    graphs, of_edges, notes = _of_each(
        owner, count, features, pairs, _joined(columns) if edges else None
    )
    unread = [file(name).name for name in (*_OF_EDGES[2 * edges :], *_UNREAD)]
    unread = [name for name in unread if Path(stem).with_name(name).is_file()]
    notes += [f"not used: {', '.join(unread)}"] if unread else []
    return Files(graphs, labels, node_labels, of_edges, edge_labels, tuple(notes))


def prefix(path: str) -> str:
    """folder/DS, of which there is an edge list.

    Raises:
      UserError: there is none, or several.
    """
    folder = Path(path)
    if not path or not folder.is_dir():
        if path and Path(f"{path}_A.txt").is_file():
            return path
        raise UserError(f"data.path={path!r} is no folder with a file DS_A.txt")
    found = sorted(folder.glob("*_A.txt"))
    if len(found) != 1:
        names = ", ".join(f.name for f in found) or "none"
        raise UserError(f"data.path={path!r}: one file DS_A.txt is wanted, there are {names}")
    return str(found[0]).removesuffix("_A.txt")


def _features(
    file: Callable[[str], Path], of: str, count: int, labels: tuple[int, ...]
) -> tuple[list[np.ndarray], tuple[int, ...]]:
    """Columns (count, …) of what nodes have, or edges, and the values of their labels."""
    columns = []
    if (path := file(f"{of}_attributes")).is_file():
        columns.append(_rows(path, 0))
        _check_count(path, len(columns[-1]), count, of)
    path = file(f"{of}_labels")
    if path.is_file():
        values = _whole(path, 1)[:, 0]
        _check_count(path, len(values), count, of)
        labels = labels or tuple(int(value) for value in np.unique(values))
        known = np.array(labels)
        _check(np.isin(values, known), path, lambda i: f"no graph learned from has {values[i]}")
        columns.append((values[:, None] == known).astype(np.float32))
    elif labels:
        raise UserError(f"{path} is missing: what was learned from had labels of {of}s")
    return columns, labels


def _joined(columns: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(columns, axis=1).astype(np.float32)


def _of_each(
    owner: np.ndarray,
    count: int,
    features: np.ndarray,
    pairs: np.ndarray,
    edge_features: np.ndarray | None,
) -> tuple[list[tuple[np.ndarray, np.ndarray]], list[np.ndarray] | None, list[str]]:
    """Each graph's features and edges, its edges' features, and what is to be said of them."""
    order = np.argsort(owner, kind="stable")
    nodes = np.bincount(owner - 1, minlength=count)
    first = np.cumsum(nodes) - nodes
    # Where a node stands among those of its graph.
    within = np.empty(len(owner), np.int64)
    within[order] = np.arange(len(owner)) - first[owner[order] - 1]
    loop = pairs[:, 0] == pairs[:, 1]
    once, first_row = np.unique(pairs[~loop], axis=0, return_index=True)
    of = owner[once[:, 0]] - 1
    by_graph = np.argsort(of, kind="stable")
    edges = np.bincount(of, minlength=count)
    by_edge = lambda x: np.split(x[by_graph], np.cumsum(edges)[:-1])
    each_edges = by_edge(within[once])
    if edge_features is not None:
        edge_features = by_edge(edge_features[~loop][first_row])
    each_nodes = np.split(features[order], np.cumsum(nodes)[:-1])
    notes = []
    told = {
        "graphs have no node": int((nodes == 0).sum()),
        "edges from a node to itself are left out": int(loop.sum()),
        "edges that stand there twice count once": int((~loop).sum() - len(once)),
    }
    notes += [f"{number} {what}" for what, number in told.items() if number]
    return list(zip(each_nodes, each_edges, strict=True)), edge_features, notes


def _whole(path: Path, columns: int) -> np.ndarray:
    """(rows, columns) int64 of a file."""
    rows = _rows(path, columns)
    good = (rows == np.round(rows)) & (abs(rows) <= _WHOLE)
    _check(good.all(axis=1), path, lambda i: f"{rows[i][~good[i]][0]:g} is no whole number")
    return rows.astype(np.int64)


def _rows(path: Path, columns: int) -> np.ndarray:
    """(rows, columns) float64 of numbers between commas; 0: as many columns as the first."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({type(error).__name__})") from None
    while lines and not lines[-1].strip():
        lines.pop()
    if not lines:
        raise UserError(f"{path}: there is nothing in it")
    cells = [line.split(",") for line in lines]
    wanted = columns or len(cells[0])
    for row, found in enumerate(cells, 1):
        if len(found) != wanted:
            raise UserError(f"{path}, row {row}: {len(found)} columns, and not {wanted}")
    try:
        made = np.array(cells, np.float64)
    except ValueError:
        for row, found in enumerate(cells, 1):
            for cell in found:
                if not _is_number(cell):
                    text = cell.strip()
                    raise UserError(f"{path}, row {row}: {text!r} is no number") from None
        raise
    finite = abs(made) <= np.finfo(np.float32).max
    _check(finite.all(axis=1), path, lambda i: f"{made[i][~finite[i]][0]:g} is no finite number")
    return made


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check(good: np.ndarray, path: Path, wrong: Callable[[int], str]) -> None:
    """Raises UserError for the first row that is not good."""
    bad = np.flatnonzero(~good)
    if len(bad):
        raise UserError(f"{path}, row {bad[0] + 1}: {wrong(bad[0])}")


def _check_count(path: Path, rows: int, count: int, of: str) -> None:
    if rows != count:
        raise UserError(f"{path}: {rows} rows of {count} {of}s")
