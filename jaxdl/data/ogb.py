"""Graphs in the folders of the Open Graph Benchmark, of its data sets whose nodes have one class.

Hu et al., 2020, "Open Graph Benchmark: Datasets for Machine Learning on Graphs".
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from jaxdl.data import Data, csr, large_graph, register
from jaxdl.data.graph_tables import cached, table
from jaxdl.errors import UserError

_RAW = {"edges": "edge", "features": "node-feat", "labels": "node-label"}
_PARTS = {"train": "train", "validation": "valid", "test": "test"}
_KEPT = ("indptr", "indices", "features", "labels", *_PARTS)


@register("ogb")
def ogb(
    path: str = "",
    directed: bool = False,
    division: str = "",
    eval_on: str = "test",
    seeds: int = 512,
    fan_out: Sequence[int] = (10, 10),
    whole: bool = False,
) -> Data:
    """A folder as of ogbn-arxiv or ogbn-products, with the benchmark's own division of the nodes.

    It has ``raw/edge.csv.gz``, ``raw/node-feat.csv.gz`` and ``raw/node-label.csv.gz``, and
    ``split/DIVISION/train.csv.gz``, ``valid.csv.gz`` and ``test.csv.gz``, the numbers of nodes.
    Labels of training nodes are known. What was read is kept as of data set "edge_list".

    Args:
      path: the folder.
      directed: an edge goes from its first node to its second alone; otherwise both ways.
      division: of the nodes, such as "time"; "" is the only one that there is.
      eval_on: "test" or "validation": the nodes to be measured on.
      seeds: nodes of a neighbourhood; ``batch_size`` counts neighbourhoods.
      fan_out: neighbours that are drawn for a node, one number a layer.
      whole: as of data set "edge_list".

    Raises:
      UserError: files that are missing or do not fit together, with the row.
    """
    folder = Path(path)
    if not path or not (folder / "raw").is_dir():
        raise UserError(f"data.path={path!r} is no folder of a data set of OGB: it has no raw/")
    if eval_on not in ("test", "validation"):
        raise UserError(f"data.eval_on={eval_on!r} must be 'test' or 'validation'")
    if whole and directed:
        raise UserError(
            "data.directed=True is for what is drawn from a graph, and not with data.whole=True"
        )
    files = {name: folder / "raw" / f"{file}.csv.gz" for name, file in _RAW.items()}
    where = _division(folder / "split", division)
    files |= {name: where / f"{file}.csv.gz" for name, file in _PARTS.items()}
    for file in files.values():
        if not file.is_file():
            raise UserError(f"{path}: there is no file {file.relative_to(folder)}")
    make = lambda: _read(files, directed)
    found = csr.kept(cached(files.values(), "ogb", directed), make, _KEPT)
    return large_graph.create(
        csr.Csr(found["indptr"], found["indices"]),
        found["features"],
        found["labels"],
        [str(i) for i in range(int(found["labels"].max()) + 1)],
        str(files["features"]),
        seeds=seeds,
        fan_out=fan_out,
        known=found["train"],
        scored=found[eval_on],
        first_row=1,
        whole=whole,
    )


def _division(folder: Path, name: str) -> Path:
    found = sorted(f.name for f in folder.glob("*") if f.is_dir())
    if name in found:
        return folder / name
    if name or len(found) != 1:
        there = ", ".join(found) or "none"
        raise UserError(f"data.division={name!r}: one of split/'s folders is wanted: {there}")
    return folder / found[0]


def _read(files: dict[str, Path], directed: bool) -> dict[str, np.ndarray]:
    """The arrays of _KEPT."""
    features = table(files["features"], np.float32, None, "numbers")[0]
    labels, first = table(files["labels"], np.float32, 1, "one class")
    nodes, label = len(features), labels[:, 0]
    if len(label) != nodes:
        raise UserError(f"{files['labels']}: {len(label)} rows for {nodes} nodes")
    wrong = np.flatnonzero(~np.isnan(label) & ((label < 0) | (label % 1 != 0)))
    if len(wrong):
        raise UserError(
            f"{files['labels']}, row {first + wrong[0]}: {label[wrong[0]]:g} is no class: whole "
            "numbers from 0 are, and nan is none"
        )
    pairs, first = table(files["edges"], np.int64, 2, "two nodes")
    graph = csr.create(
        *pairs.T, nodes, str(files["edges"]), both_ways=not directed, first_row=first
    )
    made = {**graph._asdict(), "features": features}
    made["labels"] = np.nan_to_num(label, nan=-1).astype(np.int32)
    for name in _PARTS:
        made[name] = _mask(files[name], nodes)
    return made


def _mask(file: Path, nodes: int) -> np.ndarray:
    """(nodes,) bool: which are in a file of their numbers."""
    own, first = table(file, np.int64, 1, "a node")
    wrong = np.flatnonzero((own < 0) | (own >= nodes))
    if len(wrong):
        raise UserError(
            f"{file}, row {first + wrong[0]}: node {own[wrong[0], 0]} is missing: with {nodes} "
            f"nodes they go from 0 to {nodes - 1}"
        )
    made = np.zeros(nodes, bool)
    made[own[:, 0]] = True
    return made
