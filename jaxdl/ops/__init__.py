"""What each operation means, as pure functions on arrays; nothing here holds parameters."""

from jaxdl.ops.activations import (
    activation,
    gelu,
    gelu_tanh,
    leaky_relu,
    relu,
    sigmoid,
    silu,
    softmax,
    tanh,
)
from jaxdl.ops.attention import attention
from jaxdl.ops.convolution import conv
from jaxdl.ops.forms import references
from jaxdl.ops.linear import dense
from jaxdl.ops.normalization import layer_norm
from jaxdl.ops.pooling import avg_pool, max_pool

__all__ = [
    "activation",
    "attention",
    "avg_pool",
    "conv",
    "dense",
    "gelu",
    "gelu_tanh",
    "layer_norm",
    "leaky_relu",
    "max_pool",
    "references",
    "relu",
    "sigmoid",
    "silu",
    "softmax",
    "tanh",
]
