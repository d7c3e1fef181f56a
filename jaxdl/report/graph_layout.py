"""Where a graph's nodes are drawn, and small pictures of graphs."""

import numpy as np

# From how many nodes on where they are drawn follows from the graph's spectrum alone.
_MANY_NODES = 200

# Pixels a side, at the edge where nothing is drawn, and of the radius of a node.
_SIDE, _MARGIN, _RADIUS = 96, 8, 3


def positions(edges: np.ndarray, nodes: int) -> np.ndarray:
    """(nodes, 2): near each other what few edges part.

    Args:
      edges: (edges, 2) node indices; which way they go is no matter.
      nodes: how many there are.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import shortest_path
    from sklearn.manifold import SpectralEmbedding

    if nodes < 2:
        return np.zeros((nodes, 2))
    ones = np.ones(len(edges))
    matrix = coo_matrix((ones, tuple(edges.T)), (nodes, nodes))
    matrix = (matrix + matrix.T).tocsr()
    if nodes > _MANY_NODES:
        return SpectralEmbedding(affinity="precomputed", random_state=0).fit_transform(matrix)
    # Classical scaling (Torgerson, 1952) of the number of edges between two nodes.
    steps = shortest_path(matrix, unweighted=True)
    squared = np.where(np.isfinite(steps), steps, nodes) ** 2
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    return vectors[:, -2:] * np.sqrt(np.maximum(values[-2:], 0))


def small_picture(places: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """A graph in (96, 96, 1) uint8: nodes and edges on a ground of 0.

    Args:
      places: (nodes, 2), from left to right and from top to bottom, on any scale.
      edges: (edges, 2) node indices.
    """
    from PIL import Image, ImageDraw

    page = Image.new("L", (_SIDE, _SIDE))
    if len(places):
        low = places.min(axis=0)
        scale = (_SIDE - 1 - 2 * _MARGIN) / max(float((places - low).max()), 1e-9)
        # In the middle along the side that it does not fill.
        room = (_SIDE - 1 - scale * (places.max(axis=0) - low)) / 2
        at = (places - low) * scale + room
        brush = ImageDraw.Draw(page)
        for pair in edges:
            brush.line([tuple(map(float, at[i])) for i in pair], fill=120, width=1)
        for x, y in at:
            corners = (x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS)
            brush.ellipse(tuple(map(float, corners)), fill=255)
    return np.asarray(page)[..., None]
