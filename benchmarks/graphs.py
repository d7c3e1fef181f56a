"""Networks on graphs: updates beside PyTorch Geometric's, drawn neighbours, and how both grow.

    python -m benchmarks.graphs [update sampling opening epoch growth] [--torch-python=PATH]
        [--rounds=9] [--nodes=100000] [--edges=1000000] [--most=10000000] [--keep]

"update" is one of Adam on a whole graph, of GCN and of GAT (64 features, 64 hidden, 16 classes, no
dropout; edges both ways are counted). Both sides have the same weights, and their losses before and
after an update are compared first. Then rounds time an update on each side in turn, each a process
of its own, which is stopped while the other runs. PyTorch Geometric is given its edges sorted by
receiver and, of GCN, their weights once and for all, as an edge list and as a sparse matrix, as it
is and compiled: the fastest counts. Memory is what a process had at most, edges that were read and
programs that were compiled included.

The others are ours alone, as PyTorch Geometric draws no neighbours without pyg-lib or torch-sparse
(benchmarks/large_graphs.py). With --keep the growth is written to docs/speed.md.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import large_graphs, machine, paired, sides

MODELS = ("gcn", "gat")
FEATURES, HIDDEN, HEADS, CLASSES = 64, 64, 8, 16
_RATE = 0.01
# Largest difference of the losses before and after an update, in nats.
_AGREE = 1e-3


def main() -> int:
    """Runs the command line; 1 if the sides disagree."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["update", *large_graphs.PARTS])
    parser.add_argument("--nodes", type=int, default=100_000)
    parser.add_argument("--edges", type=int, default=1_000_000)
    parser.add_argument("--most", type=int, default=10_000_000, help="edges of the largest graph")
    parser.add_argument("--keep", action="store_true", help="write what grows to docs/speed.md")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--torch-python", default=sys.executable)
    parser.add_argument("--side", choices=("ours", "theirs"))
    parser.add_argument("--model", choices=MODELS)
    parser.add_argument("--file", type=Path)
    options = parser.parse_args()
    if unknown := {*options.parts} - {"update", *large_graphs.PARTS}:
        parser.error(f"no such part: {', '.join(unknown)}")
    if options.side == "ours":
        paired.as_launched()
        paired.serve(ours(options.model, options.nodes, options.edges, options.file))
        return 0
    if options.side == "theirs":
        paired.serve(theirs(options.model, options.file))
        return 0
    sides.end_with_us()
    machine.say_if_busy()
    print(machine.processor(), f"{machine.cores()} cores")
    apart = 0.0
    if "update" in options.parts:
        apart = max(beside(model, options) for model in MODELS)
    for part in large_graphs.PARTS:
        if part in options.parts:
            getattr(large_graphs, part)(options.most, options.keep)
    return int(apart > _AGREE)


def beside(model: str, options: argparse.Namespace) -> float:
    """Prints both sides' times and memory; how far their losses are apart."""
    with tempfile.TemporaryDirectory() as folder:
        flags = [f"--model={model}", f"--file={folder}/graph.npz"]
        flags += [f"--nodes={options.nodes}", f"--edges={options.edges}"]
        command = lambda python, side: [python, "-m", "benchmarks.graphs", f"--side={side}", *flags]
        mine, other = command(sys.executable, "ours"), command(options.torch_python, "theirs")
        with sides.Process("ours", mine) as a:
            said = a.ask("say")["said"]  # the graph is written by now
            with sides.Process("theirs", other) as b:
                apart = float(np.abs(np.subtract(said, b.ask("say")["said"])).max())
                print(f"{model}: losses differ by {apart:.1e} at most")
                paired.tell(a, b, options.rounds, "an update")
                memory = [side.ask("run")["resident"] / 1e6 for side in (a, b)]
                print("ours had {:.0f} MB at most, theirs {:.0f} MB".format(*memory))
    return apart


def drawn(nodes: int, edges: int) -> dict[str, np.ndarray]:
    """A graph of ``edges`` // 2 different pairs, with features and labels that mean nothing."""
    rng = np.random.default_rng(0)
    keys = np.empty(0, np.int64)
    while len(keys) < edges // 2:
        pairs = np.sort(rng.integers(0, nodes, (edges, 2)), axis=1)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        keys = np.unique(np.append(keys, pairs[:, 0] * nodes + pairs[:, 1]))
    keys = rng.choice(keys, edges // 2, replace=False)
    return {
        "pairs": np.stack(np.divmod(keys, nodes), axis=1),
        "features": rng.standard_normal((nodes, FEATURES), np.float32),
        "labels": rng.integers(0, CLASSES, nodes),
    }


def ours(model: str, nodes: int, edges: int, file: Path) -> paired.Side:
    """(the losses around an update, an update), of a graph and weights written to ``file``."""
    import functools

    import jax
    import jax.numpy as jnp
    import optax

    from jaxdl import keys, models, ops, trees
    from jaxdl.tasks import learner, node_classification

    graph = drawn(nodes, edges)
    fields = {"gcn": dict(hidden=(HIDDEN,)), "gat": dict(hidden=(HIDDEN // HEADS,), heads=HEADS)}
    still = {"gcn": {}, "gat": dict(attention_dropout=0.0)}
    module = models.create(model, num_classes=CLASSES, dropout=0.0, **fields[model], **still[model])
    adjacency = getattr(module, "adjacency", ops.normalised)(graph["pairs"], nodes)
    adjacency = ops.in_rows(adjacency, nodes)  # as the tasks do
    x, labels = jnp.asarray(graph["features"]), jnp.asarray(graph["labels"], jnp.int32)
    given = node_classification.Given(x, labels, adjacency)
    variables = jax.jit(module.init)(keys.root(0), x, adjacency)
    names = trees.leaf_names(variables["params"])
    leaves = map(np.asarray, jax.tree.leaves(variables["params"]))
    np.savez(file, **graph, **dict(zip(names, leaves, strict=True)))
    optimizer = optax.chain(optax.scale_by_adam(), optax.scale(-_RATE))
    loss_fn = functools.partial(node_classification.training_loss, learner.forward(module))
    update = learner.make_update(loss_fn, optimizer)
    batch = {"given": given, "known": jnp.ones(nodes, bool)}
    step = jax.jit(update, donate_argnums=0)
    kept = [learner.create(variables, optimizer)]

    def run() -> float:
        kept[0], metrics = step(kept[0], batch, keys.root(0))
        return float(metrics["loss"].total / metrics["loss"].weight)

    return lambda: [run(), run()], run


def theirs(model: str, file: Path) -> paired.Side:
    """The same of PyTorch Geometric."""
    import torch

    with np.load(file) as archive:
        given = {name: archive[name] for name in archive.files}
    pairs = torch.from_numpy(given["pairs"]).T
    edges = torch.cat([pairs, pairs.flip(0)], dim=1)
    edges = edges[:, torch.argsort(edges[1] * len(given["features"]) + edges[0])].contiguous()
    forms: list[tuple[str, Callable[[], float]]] = []
    for name, form, compiled in _forms(model, edges, len(given["features"])):
        step = _step(model, given, form, compiled)
        try:
            step()
        except Exception as error:  # a form that it cannot take is none of its fastest
            print(f"{name}: {type(error).__name__}", file=sys.stderr)
            continue
        forms.append((name, step))
    best = paired.fastest([step for _, step in forms], [name for name, _ in forms])
    again = _step(model, given, _forms(model, edges, len(given["features"]))[0][1], False)
    return lambda: [again(), again()], best


def _forms(model: str, edges, nodes: int) -> list[tuple]:
    """(name, what the layers are called with, whether they are compiled)."""
    import torch

    forms = [("edges", edges, False), ("edges, compiled", edges, True)]
    if model == "gcn":
        ones = torch.ones(edges.shape[1])
        matrix = torch.sparse_coo_tensor(edges.flip(0), ones, (nodes, nodes)).coalesce()
        forms.append(("matrix", matrix.to_sparse_csr(), False))
    return forms


def _step(model: str, given: dict[str, np.ndarray], form, compiled: bool) -> Callable[[], float]:
    """An update of a network with the weights of ``given``; returns the loss before it."""
    import torch
    from torch_geometric.nn import GATConv, GCNConv

    if model == "gcn":
        first, last = GCNConv(FEATURES, HIDDEN, cached=True), GCNConv(HIDDEN, CLASSES, cached=True)
        between = torch.nn.functional.relu
    else:
        first, last = GATConv(FEATURES, HIDDEN // HEADS, HEADS), GATConv(HIDDEN, CLASSES, 1)
        between = torch.nn.functional.elu
    for conv, name in ((first, "conv_0"), (last, "head")):
        conv.load_state_dict(_weights(model, given, name, conv.state_dict()))
    x, labels = torch.from_numpy(given["features"]), torch.from_numpy(given["labels"]).long()
    forward = lambda x, form: last(between(first(x, form)), form)
    forward = torch.compile(forward) if compiled else forward
    optimizer = torch.optim.Adam([*first.parameters(), *last.parameters()], lr=_RATE)

    def step() -> float:
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(forward(x, form), labels)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return step


def _weights(model: str, given: dict[str, np.ndarray], layer: str, wanted: dict) -> dict:
    """Ours under its names."""
    import torch

    names = {"bias": "bias"}
    if model == "gcn":
        names["lin.weight"] = "kernel"
    else:
        names["lin.weight"] = "source/kernel"
        names |= {"att_src": "attention_source", "att_dst": "attention_target"}
    made = {}
    for theirs_name, name in names.items():
        value = given[f"{layer}/{name}"]
        value = value.T if theirs_name == "lin.weight" else value
        made[theirs_name] = torch.from_numpy(value.copy()).reshape(wanted[theirs_name].shape)
    return made


if __name__ == "__main__":
    sys.exit(main())
