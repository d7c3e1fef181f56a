"""Attention for a TPU: the flash attention kernel of jax's Pallas collection.

The scores stay in the chip's vector memory, a block at a time, and are computed anew in the
backward pass (Dao et al., 2022): memory and traffic grow with T, not with T².
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from jaxdl.ops.mesh import BATCH_AXES, HEAD_AXIS, free_axes

# The longest that divides is taken. Shorter sequences than SHORTEST, whose scores are small, are
# left to XLA; neither number was measured on a TPU.
BLOCKS = (512, 256, 128)
SHORTEST = 512


def form(
    query: jax.Array, key: jax.Array, value: jax.Array, mask: jax.Array | None, causal: bool
) -> Callable | None:
    """The kernel as a function (query, key, value, mask), None where it does not apply.

    It does for bf16, no mask, T and S of at least 512 and multiples of 128 (and equal, if causal),
    a head_dim of 32 to 256 that 16 divides, one width of keys and values, and in a program
    that is traced for TPUs and says how arrays lie on them: the mesh in force (`jax.set_mesh`),
    or one device.

    Args:
      query: (batch, T, heads, head_dim), scaled; or its shape and dtype, as the others.
      key: (batch, S, heads, head_dim).
      value: (batch, S, heads, head_dim).
      mask: none is supported.
      causal: query t sees keys up to t only.
    """
    mesh = jax.sharding.get_abstract_mesh()
    device = None if mesh.empty else mesh.abstract_device
    platform = jax.default_backend() if device is None else device.platform
    if platform != "tpu" or (mesh.empty and jax.device_count() > 1):
        return None
    T, S, D = query.shape[1], key.shape[1], query.shape[3]
    fits = (
        mask is None
        and all(x.dtype == jnp.bfloat16 for x in (query, key, value))
        and min(T, S) >= SHORTEST
        and T % BLOCKS[-1] == S % BLOCKS[-1] == 0
        and D % 16 == 0
        and 32 <= D <= 256
        and value.shape[3] == D
        and (T == S or not causal)
    )
    return functools.partial(_sharded, causal=causal, mesh=mesh) if fits else None


def _sharded(query, key, value, mask, *, causal, mesh):
    """Each device's heads of its part of the batch: the compiler cannot split a kernel itself."""
    free = free_axes(mesh)
    kernel = functools.partial(_kernel, causal=causal)
    if not free:
        return kernel(query, key, value)
    spec = PartitionSpec(
        _dividing(BATCH_AXES, query.shape[0], free, mesh),
        None,
        _dividing((HEAD_AXIS,), query.shape[2], free, mesh),
    )
    # The check of what varies over which axis does not know this kernel.
    return jax.shard_map(
        kernel, in_specs=(spec,) * 3, out_specs=spec, axis_names=set(free), check_vma=False
    )(query, key, value)


def _dividing(names, size, free, mesh):
    """Those of the axes that are there, as long as they divide ``size``; others hold copies."""
    chosen, parts = [], 1
    for name in names:
        if name in free and size % (parts * mesh.shape[name]) == 0:
            chosen.append(name)
            parts *= mesh.shape[name]
    return tuple(chosen) or None


def _kernel(query, key, value, *, causal):
    # Here, because Pallas takes a quarter of a second to import.
    from jax.experimental.pallas.ops.tpu import flash_attention

    q, k, v = (x.transpose(0, 2, 1, 3) for x in (query, key, value))
    t, s = (next(n for n in BLOCKS if x.shape[2] % n == 0) for x in (q, k))
    sizes = flash_attention.BlockSizes(
        block_b=1,
        block_q=t,
        block_k_major=s,
        block_k=s,
        block_q_major_dkv=t,
        block_q_dkv=t,
        block_k_major_dkv=s,
        block_k_dkv=s,
        block_q_dq=t,
        block_k_major_dq=s,
        block_k_dq=s,
    )
    y = flash_attention.flash_attention(q, k, v, causal=causal, block_sizes=sizes)
    return y.transpose(0, 2, 1, 3)
