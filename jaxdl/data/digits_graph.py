"""scikit-learn's handwritten digits, each joined to those that look most like it."""

from jaxdl.data import Whole, graph, register


@register("digits_graph")
def digits_graph(neighbours: int = 7) -> Whole:
    """1797 nodes of 64 pixels in [0, 1], and edges to the ``neighbours`` nearest (Euclidean).

    An edge stands wherever one of two is among the other's nearest. Which labels are known is not
    said: the task draws them.
    """
    from sklearn.datasets import load_digits
    from sklearn.neighbors import kneighbors_graph

    images, labels = load_digits(return_X_y=True)
    edges = kneighbors_graph(images, neighbours).nonzero()
    return Whole(graph.create(images / 16, list(zip(*edges, strict=True)), labels, "digits_graph"))
