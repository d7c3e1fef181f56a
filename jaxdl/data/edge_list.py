"""Graphs of one's own: edges in a file, features and labels of the nodes beside it."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from jaxdl import process
from jaxdl.data import Data, csr, fingerprint, large_graph, register, sampled_links
from jaxdl.errors import UserError, one_line

_DELIMITERS = {".csv": ",", ".tsv": "\t"}
_KINDS = (".csv", ".tsv", ".npz", ".mtx")
_KEPT = ("indptr", "indices", "features", "labels", "names")


@register("edge_list")
def edge_list(
    path: str = "",
    directed: bool = False,
    seeds: int = 512,
    fan_out: Sequence[int] = (10, 10),
    labels_per_class: int = 0,
    label_seed: int = 0,
    held_out: float = 0.0,
    split_seed: int = 0,
) -> Data:
    """A folder with ``edges``, ``features``, ``labels`` and, if there are such, ``known``.

    Each is a .csv or .tsv, a first row of names being left out: two nodes, numbered from 0, in a
    row of the edges; a node in each row of the others: its numbers; its class, which is a number or
    a name, and nothing where it has none; 1 where the label is known to begin with, otherwise 0. An
    .npz archive of one array that is called so will do for each, and for edges an .mtx file (Matrix
    Market), whose numbers are not read.

    What was read is kept in $JAXDL_CACHE, or the usual folder for such, and mapped from there next
    time, if the files have not changed.

    Args:
      path: the folder.
      directed: an edge goes from its first node to its second alone.
      seeds: nodes of a neighbourhood, or edges with held_out; ``batch_size`` counts neighbourhoods.
      fan_out: neighbours that are drawn for a node, one number a layer.
      labels_per_class: known labels, drawn of each class; 0 takes those that ``known`` names.
      label_seed: of that draw.
      held_out: the share of edges that are to be found, for task "sampled_link_prediction", which
        asks for no labels; 0: nodes are classified, and all edges known.
      split_seed: of the draw of these edges.
    """
    folder = Path(path)
    if not path or not folder.is_dir():
        raise UserError(f"data.path={path!r} is no folder: name one with edges.csv, features.csv …")
    if held_out and (directed or labels_per_class):
        name, value = ("directed", True) if directed else ("labels_per_class", labels_per_class)
        raise UserError(
            f"data.{name}={value}: links that data.held_out={held_out} asks for go both ways and "
            "have no classes"
        )
    files = {name: _file(folder, name) for name in ("edges", "features")}
    files |= {} if held_out else {"labels": _file(folder, "labels")}
    stats = [(str(f.resolve()), f.stat().st_size, f.stat().st_mtime_ns) for f in files.values()]
    name = fingerprint.digest({"read": [str(stats), str(directed), "1"]})
    make = lambda: _read(files, directed)
    arrays = csr.kept(process.cache_folder() / "graphs" / name, make, _KEPT)
    graph = csr.Csr(arrays["indptr"], arrays["indices"])
    shape = dict(seeds=seeds, fan_out=fan_out)
    if held_out:
        how = dict(held_out=held_out, split_seed=split_seed, **shape)
        return sampled_links.create(graph, arrays["features"], str(files["edges"]), **how)
    known = None
    if not labels_per_class and (file := _file(folder, "known", needed=False)):
        known = _table(file, np.int64, 1, "0 or 1")[0][:, 0] == 1
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
    )


def _file(folder: Path, name: str, needed: bool = True) -> Path | None:
    kinds = _KINDS if name == "edges" else _KINDS[:3]
    found = [folder / f"{name}{kind}" for kind in kinds if (folder / f"{name}{kind}").is_file()]
    if len(found) > 1 or (needed and not found):
        there = " and ".join(f.name for f in found) or "none"
        raise UserError(f"{folder}: one of {name}{', '.join(kinds)} is wanted, there is {there}")
    return found[0] if found else None


def _read(files: Mapping[str, Path], directed: bool) -> dict[str, np.ndarray]:
    """The arrays of _KEPT."""
    features, first = _table(files["features"], np.float32, None, "numbers")
    wrong = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(wrong):
        row = first + wrong[0]
        raise UserError(f"{files['features']}, row {row}: features must be finite numbers")
    labels, names = np.zeros(len(features), np.int32), np.array([], str)
    if "labels" in files:
        labels, names = _labels(files["labels"])
    if len(labels) != len(features):
        raise UserError(
            f"{files['labels']}: {len(labels)} rows, but {files['features'].name} has "
            f"{len(features)}: one a node"
        )
    if files["edges"].suffix == ".mtx":
        pairs, first = _market(files["edges"]), 1
    else:
        pairs, first = _table(files["edges"], np.int64, 2, "two nodes")
    where = str(files["edges"])
    graph = csr.create(*pairs.T, len(features), where, both_ways=not directed, first_row=first)
    return {**graph._asdict(), "features": features, "labels": labels, "names": names}


def _table(file: Path, dtype: type, columns: int | None, wanted: str) -> tuple[np.ndarray, int]:
    """(rows, columns) of a file, and the number of the first row, names above it not being one."""
    if file.suffix == ".npz":
        found = _archive(file)
        found = found[:, None] if found.ndim == 1 else found
        if found.ndim != 2 or found.dtype.kind not in ("iu" if dtype is np.int64 else "iufb"):
            raise UserError(
                f"{file}: {wanted} in each row are wanted, not {found.dtype}{found.shape}"
            )
        found, first = found.astype(dtype), 0
    else:
        first = 1 + _has_names(file)
        how = dict(delimiter=_DELIMITERS[file.suffix], skiprows=first - 1, ndmin=2, comments=None)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UserWarning)  # of no rows, which are told of below
                found = np.loadtxt(file, dtype, **how)
        except (ValueError, UnicodeError, OSError) as error:
            raise UserError(_first_wrong(file, dtype, first, wanted) or one_line(error)) from None
    if not found.size:
        raise UserError(f"{file} has no rows: {wanted} are wanted in each")
    if columns not in (None, found.shape[1]):
        raise UserError(f"{file}, row {first}: {wanted} are wanted, not {found.shape[1]} columns")
    return found, first


def _has_names(file: Path) -> bool:
    """Whether the first row has a field that is no number."""
    with file.open(encoding="utf-8", errors="replace") as lines:
        fields = next(lines, "").rstrip("\r\n").split(_DELIMITERS[file.suffix])
    return not all(_is(float, field) for field in fields)


def _is(kind: Callable, field: str) -> bool:
    try:
        kind(field)
    except ValueError:
        return False
    return True


def _first_wrong(file: Path, dtype: type, first: int, wanted: str) -> str:
    """A line on the first row that has another number of fields, or no numbers."""
    kind, width = int if dtype is np.int64 else float, None
    with file.open(encoding="utf-8", errors="replace") as lines:
        for row, line in enumerate(lines, 1):
            fields = line.strip("\r\n").split(_DELIMITERS[file.suffix])
            if row < first or not line.strip():
                continue
            width = width or len(fields)
            bad = [field for field in fields if not _is(kind, field)]
            if bad or len(fields) != width:
                found = f"{bad[0]!r}" if bad else f"{len(fields)} columns after rows of {width}"
                return f"{file}, row {row}: {wanted} are wanted, not {found}"
    return ""


def _labels(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """(nodes,) int32, -1 where there is none, and the names of the classes."""
    if file.suffix == ".npz":
        found = _archive(file).ravel()
        texts = np.where(found < 0, "", found.astype(str)) if found.dtype.kind in "iu" else found
    else:
        texts = np.array(file.read_text(encoding="utf-8").splitlines(), str)
        many = np.flatnonzero(np.char.find(texts, _DELIMITERS[file.suffix]) >= 0)
        if len(many):
            raise UserError(f"{file}, row {many[0] + 1}: one label is wanted, not several columns")
        if len(texts) and texts[0].lower() in ("label", "labels", "class"):
            texts = texts[1:]
    texts = np.char.strip(np.asarray(texts, str))
    texts[texts == "-1"] = ""
    names = np.unique(texts[texts != ""])
    if all(_is(int, name) for name in names):
        names = names[np.argsort(names.astype(int), kind="stable")]
    if len(names) < 2:
        raise UserError(f"{file}: two classes or more are wanted, not {len(names)}")
    labels = np.full(len(texts), -1, np.int32)
    order = np.argsort(names)
    has = texts != ""
    labels[has] = order[np.searchsorted(names[order], texts[has])]
    return labels, names


def _archive(file: Path) -> np.ndarray:
    try:
        with np.load(file, allow_pickle=False) as archive:
            name = file.stem if file.stem in archive.files else archive.files[0]
            return archive[name]
    except Exception as error:  # zip, its decompressors and headers have errors of their own
        raise UserError(f"{file} is not a readable .npz archive: {one_line(error)}") from None


def _market(file: Path) -> np.ndarray:
    """(edges, 2): the row and the column of every entry."""
    from scipy import io

    try:
        found = io.mmread(file, spmatrix=False)
    except Exception as error:  # text of any kind has errors of any kind
        raise UserError(f"{file} is not a readable .mtx file: {one_line(error)}") from None
    if not hasattr(found, "tocoo"):
        raise UserError(f"{file}: a coordinate file is wanted, not an array")
    found = found.tocoo()
    return np.stack([found.row, found.col], axis=1)
