"""Writes graphs.npz: what PyTorch Geometric's layers give, for tests/test_graph_layers.py.

    pip install torch==2.13.0
    pip install torch_geometric==2.8.1
    python tests/golden/make_graphs.py

Two graphs in float64: of 8 nodes, two of them without edges and one with two loops, an edge that
stands there twice, edges one way alone; and of 3 nodes without any edge. Of each layer its weights
in PyTorch's layout, its result y, and the gradients of ``Σ y · g`` by features and weights.
"""

from pathlib import Path

import numpy as np
import torch
import torch_geometric
from torch_geometric import nn

F, E = 5, 3  # features of a node and of an edge

EDGES = [(0, 1), (1, 0), (1, 2), (2, 3), (3, 3), (3, 3), (0, 3), (4, 1), (4, 1), (2, 0), (5, 4)]
NODES = {"some": 8, "none": 3}
# Nodes of graphs that lie side by side: three, of which the second has no nodes.
GRAPHS = [0, 0, 0, 2, 2, 2, 2, 2]


def perceptron():
    return torch.nn.Sequential(torch.nn.Linear(F, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4))


LAYERS = {
    "gat": lambda: nn.GATConv(F, 4, heads=2),
    "gat_averaged": lambda: nn.GATConv(F, 4, heads=3, concat=False),
    "gat_loopless": lambda: nn.GATConv(F, 4, heads=2, add_self_loops=False),
    "gat_edges": lambda: nn.GATConv(F, 4, heads=2, edge_dim=E),
    "gatv2": lambda: nn.GATv2Conv(F, 4, heads=2),
    "gatv2_averaged": lambda: nn.GATv2Conv(F, 4, heads=3, concat=False),
    "gatv2_edges": lambda: nn.GATv2Conv(F, 4, heads=2, edge_dim=E),
    "sage_mean": lambda: nn.SAGEConv(F, 4),
    "sage_wide": lambda: nn.SAGEConv(F, 7, aggr="mean"),
    "sage_max": lambda: nn.SAGEConv(F, 4, aggr="max"),
    "sage_sum": lambda: nn.SAGEConv(F, 4, aggr="sum"),
    "sage_pooled": lambda: nn.SAGEConv(F, 4, aggr="max", project=True),
    "sage_normalised": lambda: nn.SAGEConv(F, 4, normalize=True),
    "gin": lambda: nn.GINConv(perceptron(), eps=0.3),
    "gin_learned": lambda: nn.GINConv(perceptron(), train_eps=True),
    "gin_edges": lambda: nn.GINEConv(perceptron(), edge_dim=E),
    "weighted_sum": lambda: nn.GraphConv(F, 4),
    "weighted_mean": lambda: nn.GraphConv(F, 4, aggr="mean"),
    "weighted_max": lambda: nn.GraphConv(F, 4, aggr="max"),
}


def inputs(nodes):
    """Features, edges (2, n), their weights and features."""
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64)
    x = draw(nodes, F)
    if nodes == 3:
        return x, torch.zeros(2, 0, dtype=torch.long), draw(0), draw(0, E)
    # They tie as maxima: both send to node 1, the former twice.
    x[4] = x[0]
    edges = torch.tensor(EDGES).T
    return x, edges, draw(edges.shape[1]).abs(), draw(edges.shape[1], E)


def with_gradients(module, x, call):
    """{name: array} of a call of x."""
    x = x.clone().requires_grad_()
    y = call(x)
    g = torch.randn(y.shape, dtype=torch.float64)
    (y * g).sum().backward()
    made = {"y": y, "g": g, "d_x": x.grad}
    for name, value in module.named_parameters():
        made[f"w.{name}"] = value
        made[f"d.{name}"] = torch.zeros_like(value) if value.grad is None else value.grad
    return {name: value.detach().numpy() for name, value in made.items()}


def filled(module):
    """In float64, and no weight at a value that hides what it does."""
    module = module.double()
    for value in module.parameters():
        torch.nn.init.normal_(value, std=0.5)
    return module


def of_layers(graph, x, edges, weights, features):
    found = {}
    for name, make in LAYERS.items():
        torch.manual_seed(len(name))
        layer = filled(make())
        more = {"edge_attr": features} if name.endswith("_edges") else {}
        more |= {"edge_weight": weights} if name.startswith("weighted") else {}
        made = with_gradients(layer, x, lambda x, l=layer, m=more: l(x, edges, **m))
        found |= {f"{graph}.{name}.{part}": value for part, value in made.items()}
    return found


def of_pools(x):
    """Pooling of graphs, and normalisation, by the numbers of GRAPHS."""
    graphs = torch.tensor(GRAPHS)
    bare = torch.nn.Identity()
    pools = {
        "pool_sum": (bare, lambda x: nn.global_add_pool(x, graphs, 3)),
        "pool_mean": (bare, lambda x: nn.global_mean_pool(x, graphs, 3)),
        "pool_max": (bare, lambda x: nn.global_max_pool(x, graphs, 3)),
    }
    attention = filled(nn.AttentionalAggregation(torch.nn.Linear(F, 1)))
    pools["pool_attention"] = attention, lambda x: attention(x, graphs, dim_size=3)
    norm = filled(nn.GraphNorm(F))
    pools["norm"] = norm, lambda x: norm(x, graphs, 3)
    pools["norm_of_one"] = norm, lambda x: norm(x)
    found = {}
    for name, (module, call) in pools.items():
        module.zero_grad()
        found |= {f"{name}.{k}": v for k, v in with_gradients(module, x, call).items()}
    return found


def main():
    arrays = {}
    for graph, nodes in NODES.items():
        torch.manual_seed(nodes)
        given = inputs(nodes)
        names = ("x", "edges", "weights", "features")
        arrays |= {f"{graph}.{n}": v.numpy() for n, v in zip(names, given, strict=True)}
        arrays |= of_layers(graph, *given)
        if graph == "some":
            arrays |= of_pools(given[0])
    arrays["graphs"] = np.array(GRAPHS)
    made_with = f"torch {torch.__version__}, torch_geometric {torch_geometric.__version__}"
    path = Path(__file__).with_name("graphs.npz")
    np.savez_compressed(path, made_with=made_with, **arrays)


if __name__ == "__main__":
    main()
