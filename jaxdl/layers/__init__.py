"""What models are made of: Flax linen modules over `jaxdl.ops`."""

from jaxdl.layers.attention import MultiHeadAttention
from jaxdl.layers.cache import Cache
from jaxdl.layers.conv_act import ConvAct
from jaxdl.layers.conv_norm import ConvNorm
from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.drop_path import DropPath
from jaxdl.layers.dropout import Dropout
from jaxdl.layers.graph import GraphConv
from jaxdl.layers.initializers import initializer
from jaxdl.layers.map_dense import MapDense
from jaxdl.layers.normalization import BatchNorm, GroupNorm, LayerNorm
from jaxdl.layers.patches import PatchEmbed
from jaxdl.layers.positions import (
    RelativePositions,
    learned_positions,
    relative_buckets,
    resize_positions,
    sincos_positions,
    sinusoids,
)
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Bidirectional
from jaxdl.layers.relative_bias import RelativeBias
from jaxdl.layers.spectral import SpectralConv, SpectralDense
from jaxdl.layers.squeeze_excite import SqueezeExcite
from jaxdl.layers.stacked import Carries, Stacked
from jaxdl.layers.transformer import Block, FeedForward
from jaxdl.layers.transposed import ConvTranspose

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BatchNorm",
    "Bidirectional",
    "Block",
    "Cache",
    "Carries",
    "Conv",
    "ConvAct",
    "ConvNorm",
    "ConvTranspose",
    "Dense",
    "DropPath",
    "Dropout",
    "FeedForward",
    "GraphConv",
    "GroupNorm",
    "LayerNorm",
    "MapDense",
    "MultiHeadAttention",
    "PatchEmbed",
    "RelativeBias",
    "RelativePositions",
    "SpectralConv",
    "SpectralDense",
    "SqueezeExcite",
    "Stacked",
    "initializer",
    "learned_positions",
    "relative_buckets",
    "resize_positions",
    "sincos_positions",
    "sinusoids",
]
