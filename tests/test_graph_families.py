"""GAT, GraphSAGE and GIN by the launcher: what a run of each has that every run has."""

import numpy as np
import pytest
import tiny
from launching import (
    assert_resumes_to_the_bit,
    figures,
    leaves,
    run,
    summary,
)

from jaxdl.runs import checkpoint


@pytest.mark.parametrize("name", ["gat", "graphsage"])
def test_devices_and_time_change_no_number(name, tmp_path):
    """Cut and gone on with, and on several devices, by sharding and by pmap."""
    # Adam takes a gradient that is 0 but for rounding for as large as any other.
    plain = ("--config.optimizer.name=sgd", "--config.optimizer.learning_rate=.3")
    small = (*tiny.FLAGS[name], *plain, "--config.batch_size=8", "--config.eval.every=3")
    assert_resumes_to_the_bit(name, tmp_path, *small, "--config.checkpoint.every=2", at=4)
    for how in (("data=8",), ("data=4", "strategy=pmap")):
        many = tmp_path / how[-1]
        assert run(name, many, *small, *(f"--config.parallel.{x}" for x in how)) == 0
        for a, b in zip(leaves(tmp_path / "whole"), leaves(many), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
        one, other = (figures(folder, "eval")[-1] for folder in (tmp_path / "whole", many))
        assert one["accuracy"] == other["accuracy"]


def test_nodes_are_named_by_a_graph_isomorphism_network(tmp_path):
    """By a model that keeps statistics of batches, which are each learner's own."""
    flags = ("--config.model.name=gin", "--config.batch_size=4", "--config.steps=60")
    assert run("gcn", tmp_path, *flags, "--config.eval.every=60") == 0
    assert summary(tmp_path)["final"]["accuracy"] > 0.7
    found = checkpoint.restore(tmp_path)["learner"]["model_state"]["batch_stats"]["norm_0"]
    for each in found.values():
        assert each.shape == (4, 16)
        assert (np.abs(each[0] - each[1]) > 1e-3).any()
