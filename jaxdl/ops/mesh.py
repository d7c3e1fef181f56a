"""The devices that a program is traced for, where it says by itself what each of them computes."""

from jax.sharding import AbstractMesh, AxisType

# How `jaxdl.parallel` names the mesh's axes: the batch lies on two, the heads on one.
BATCH_AXES = ("data", "fsdp")
HEAD_AXIS = "tensor"


def free_axes(mesh: AbstractMesh) -> list[str]:
    """The axes of the mesh in force over which nothing was divided by hand yet."""
    kinds = zip(mesh.axis_names, mesh.axis_types, strict=True)
    return [name for name, kind in kinds if kind != AxisType.Manual]
