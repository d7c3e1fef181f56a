"""Graphs of one's own: edges in a file, features and labels of the nodes beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxdl.data import Data, csr, large_graph, register, sampled_links
from jaxdl.data.graph import check_finite
from jaxdl.data.graph_tables import DELIMITERS, archive, cached, is_of, kind, opened, table
from jaxdl.errors import UserError, one_line

_KINDS = (*DELIMITERS, ".npz", ".mtx")
_KEPT = ("indptr", "indices", "features", "labels", "names")


@register("edge_list")
def edge_list(
    path: str = "",
    directed: bool = False,
    weighted: bool = False,
    seeds: int = 512,
    fan_out: Sequence[int] = (10, 10),
    labels_per_class: int = 0,
    label_seed: int = 0,
    held_out: float = 0.0,
    split_seed: int = 0,
    whole: bool = False,
) -> Data:
    """A folder with ``edges``, ``features``, ``labels`` and, if there are such, ``known``.

    Each is a .csv or .tsv, packed (.gz) or not, a first row of names being left out: two nodes,
    numbered from 0, in a row of the edges; a node in each row of the others: its numbers; its
    class, which is a number or a name, and nothing where it has none; 1 where the label is known to
    begin with, otherwise 0. An .npz archive of one array that is called so will do for each, and
    for edges an .mtx file (Matrix Market).

    What was read is kept in $JAXDL_CACHE, or the usual folder for such, and mapped from there next
    time, if the files have not changed.

    Args:
      path: the folder.
      directed: an edge goes from its first node to its second alone.
      weighted: an edge has a weight, the third column of its row or the number in an .mtx file,
        which is not read otherwise. Of the same edge's the largest counts.
      seeds: nodes of a neighbourhood, or edges with held_out; ``batch_size`` counts neighbourhoods.
      fan_out: neighbours that are drawn for a node, one number a layer.
      labels_per_class: known labels, drawn of each class; 0 takes those that ``known`` names.
      label_seed: of that draw.
      held_out: the share of edges that are to be found, for task "sampled_link_prediction", which
        asks for no labels; 0: nodes are classified, and all edges known.
      split_seed: of the draw of these edges.
      whole: the graph is one piece, for tasks such as "node_classification" and "link_prediction",
        and nothing is drawn from it, so that seeds and fan_out are not used. The last two files may
        then be missing.
    """
    folder = Path(path)
    if not path or not folder.is_dir():
        raise UserError(f"data.path={path!r} is no folder: name one with edges.csv, features.csv …")
    none = {"directed": directed, "weighted": weighted, "labels_per_class": labels_per_class}
    if held_out and any(none.values()):
        name, value = next((name, value) for name, value in none.items() if value)
        raise UserError(
            f"data.{name}={value}: links that data.held_out={held_out} asks for go both ways and "
            "have neither weights nor classes"
        )
    if whole and (directed or held_out):
        name, value = ("directed", True) if directed else ("held_out", held_out)
        raise UserError(
            f"data.{name}={value} is for what is drawn from a graph, and not with data.whole=True"
        )
    files = {name: _file(folder, name) for name in ("edges", "features")}
    named = not held_out and _file(folder, "labels", needed=not whole)
    files |= {"labels": named} if named else {}
    make, names = lambda: _read(files, directed, weighted), _KEPT + ("weights",) * weighted
    arrays = csr.kept(cached(files.values(), directed, weighted), make, names)
    graph = csr.Csr(arrays["indptr"], arrays["indices"], arrays.get("weights"))
    shape = dict(seeds=seeds, fan_out=fan_out)
    if held_out:
        how = dict(held_out=held_out, split_seed=split_seed, **shape)
        return sampled_links.create(graph, arrays["features"], str(files["edges"]), **how)
    known = None
    if whole and not named:
        return Data(whole=large_graph.in_one_piece(graph, arrays["features"]))
    if not labels_per_class and (file := _file(folder, "known", needed=False)):
        known = table(file, np.int64, 1, "0 or 1")[0][:, 0] == 1
        if len(known) != len(arrays["labels"]):
            raise UserError(f"{file}: {len(known)} rows for {len(arrays['labels'])} nodes")
    return large_graph.create(
        graph,
        arrays["features"],
        arrays["labels"],
        arrays["names"].tolist(),
        str(files["features"]),
        **shape,
        labels_per_class=labels_per_class,
        label_seed=label_seed,
        known=known,
        whole=whole,
    )


def _file(folder: Path, name: str, needed: bool = True) -> Path | None:
    kinds = _KINDS if name == "edges" else _KINDS[:-1]
    found = [folder / f"{name}{kind}" for kind in kinds if (folder / f"{name}{kind}").is_file()]
    if len(found) > 1 or (needed and not found):
        there = " and ".join(f.name for f in found) or "none"
        raise UserError(f"{folder}: one of {name}{', '.join(kinds)} is wanted, there is {there}")
    return found[0] if found else None


def _read(files: Mapping[str, Path], directed: bool, weighted: bool) -> dict[str, np.ndarray]:
    """The arrays of _KEPT, and ``weights`` if weighted."""
    features, first = table(files["features"], np.float32, None, "numbers")
    check_finite(features, f"{files['features']}, row", first)
    labels, names = np.zeros(len(features), np.int32), np.array([], str)
    if "labels" in files:
        labels, names = _labels(files["labels"])
    if len(labels) != len(features):
        raise UserError(
            f"{files['labels']}: {len(labels)} rows, but {files['features'].name} has "
            f"{len(features)}: one a node"
        )
    pairs, weights, first = _edges(files["edges"], weighted)
    how = dict(weights=weights, both_ways=not directed, first_row=first)
    graph = csr.create(*pairs.T, len(features), str(files["edges"]), **how)
    return {**graph._asdict(), "features": features, "labels": labels, "names": names}


def _edges(file: Path, weighted: bool) -> tuple[np.ndarray, np.ndarray | None, int]:
    """(edges, 2), weights (edges,) if weighted, and the number of the first row."""
    if file.suffix == ".mtx":
        pairs, weights = _market(file)
        if weighted and np.iscomplexobj(weights):
            raise UserError(f"{file}: weights must be real numbers")
        return pairs, weights if weighted else None, 1
    if not weighted:
        pairs, first = table(file, np.int64, 2, "two nodes")
        return pairs, None, first
    found, first = table(file, np.float64, 3, "two nodes and a weight")
    wrong = np.flatnonzero((found[:, :2] % 1 != 0).any(axis=1))
    if len(wrong):
        a, b = found[wrong[0], :2]
        raise UserError(
            f"{file}, row {first + wrong[0]}: nodes have whole numbers, not {a:g},{b:g}"
        )
    return found[:, :2].astype(np.int64), found[:, 2], first


def _labels(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """(nodes,) int32, -1 where there is none, and the names of the classes."""
    if file.suffix == ".npz":
        found = archive(file).ravel()
        texts = np.where(found < 0, "", found.astype(str)) if found.dtype.kind in "iu" else found
    else:
        with opened(file) as lines:
            texts = np.array(lines.read().splitlines(), str)
        many = np.flatnonzero(np.char.find(texts, DELIMITERS[kind(file)]) >= 0)
        if len(many):
            raise UserError(f"{file}, row {many[0] + 1}: one label is wanted, not several columns")
        if len(texts) and texts[0].lower() in ("label", "labels", "class"):
            texts = texts[1:]
    texts = np.char.strip(np.asarray(texts, str))
    texts[texts == "-1"] = ""
    names = np.unique(texts[texts != ""])
    if all(is_of(int, name) for name in names):
        names = names[np.argsort(names.astype(int), kind="stable")]
    if len(names) < 2:
        raise UserError(f"{file}: two classes or more are wanted, not {len(names)}")
    labels = np.full(len(texts), -1, np.int32)
    order = np.argsort(names)
    has = texts != ""
    labels[has] = order[np.searchsorted(names[order], texts[has])]
    return labels, names


def _market(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """(edges, 2), the row and the column of every entry, and (edges,) its number."""
    from scipy import io

    try:
        found = io.mmread(file, spmatrix=False)
    except Exception as error:  # text of any kind has errors of any kind
        raise UserError(f"{file} is not a readable .mtx file: {one_line(error)}") from None
    if not hasattr(found, "tocoo"):
        raise UserError(f"{file}: a coordinate file is wanted, not an array")
    found = found.tocoo()
    return np.stack([found.row, found.col], axis=1), found.data
