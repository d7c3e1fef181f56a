"""Devices and hosts, and what lies where on them."""

from jaxdl.parallel.layout import (
    AXES,
    BATCH_AXES,
    STEPS_IN_FLIGHT,
    Layout,
    TensorRule,
    create,
    everywhere,
    initialize,
    layout_of,
    mesh_shape,
    wait_for_all,
)

__all__ = [
    "AXES",
    "BATCH_AXES",
    "STEPS_IN_FLIGHT",
    "Layout",
    "TensorRule",
    "create",
    "everywhere",
    "initialize",
    "layout_of",
    "mesh_shape",
    "wait_for_all",
]
