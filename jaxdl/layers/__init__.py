"""What models are made of: Flax linen modules over `jaxdl.ops`."""

from jaxdl.layers.attention import MultiHeadAttention
from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.drop_path import DropPath
from jaxdl.layers.dropout import Dropout
from jaxdl.layers.graph import GraphConv
from jaxdl.layers.initializers import initializer
from jaxdl.layers.normalization import BatchNorm, GroupNorm, LayerNorm
from jaxdl.layers.patches import PatchEmbed
from jaxdl.layers.positions import learned_positions, sincos_positions, sinusoids
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Bidirectional
from jaxdl.layers.spectral import SpectralConv, SpectralDense
from jaxdl.layers.transformer import EncoderBlock, FeedForward
from jaxdl.layers.transposed import ConvTranspose

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "BatchNorm",
    "Bidirectional",
    "Conv",
    "ConvTranspose",
    "Dense",
    "DropPath",
    "Dropout",
    "EncoderBlock",
    "FeedForward",
    "GraphConv",
    "GroupNorm",
    "LayerNorm",
    "MultiHeadAttention",
    "PatchEmbed",
    "SpectralConv",
    "SpectralDense",
    "initializer",
    "learned_positions",
    "sincos_positions",
    "sinusoids",
]
