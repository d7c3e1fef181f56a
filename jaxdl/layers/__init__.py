"""What models are made of: Flax linen modules over `jaxdl.ops`."""

from jaxdl.layers.attention import MultiHeadAttention
from jaxdl.layers.convolution import Conv
from jaxdl.layers.dense import Dense
from jaxdl.layers.drop_path import DropPath
from jaxdl.layers.initializers import initializer
from jaxdl.layers.normalization import BatchNorm, LayerNorm
from jaxdl.layers.patches import PatchEmbed
from jaxdl.layers.positions import learned_positions, sincos_positions
from jaxdl.layers.transformer import EncoderBlock, FeedForward

__all__ = [
    "BatchNorm",
    "Conv",
    "Dense",
    "DropPath",
    "EncoderBlock",
    "FeedForward",
    "LayerNorm",
    "MultiHeadAttention",
    "PatchEmbed",
    "initializer",
    "learned_positions",
    "sincos_positions",
]
