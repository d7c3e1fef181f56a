"""Devices and hosts, and what lies where on them."""

from jaxdl.parallel.layout import (
    AXES,
    BATCH_AXES,
    Layout,
    TensorRule,
    create,
    everywhere,
    initialize,
    layout_of,
    mesh_shape,
    steps_in_flight,
    wait_for_all,
    with_mesh_of,
)

__all__ = [
    "AXES",
    "BATCH_AXES",
    "Layout",
    "TensorRule",
    "create",
    "everywhere",
    "initialize",
    "layout_of",
    "mesh_shape",
    "steps_in_flight",
    "wait_for_all",
    "with_mesh_of",
]
