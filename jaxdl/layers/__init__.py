"""What models are made of: Flax linen modules over `jaxdl.ops`.

The names that a model gives its layers are read elsewhere, so they mean something:

- ``query``, ``key``, ``value`` and ``out`` under a name that ends in ``attention``, ``up``,
  ``gate`` and ``down`` under ``feed_forward``, ``dense`` or ``dense_0``, and ``token``: what
  `config.parallel.tensor` splits (TENSOR_RULES, each beside the layer that it is of).
- ``head``: what begins anew for other classes, and learns alone until `config.optimizer.unfreeze`
  (`config.optimizer.head`; models with published weights say theirs in `jaxdl.pretrained.catalog`).
- ``position`` and ``class_token`` in a name, and all vectors: what `config.optimizer.weight_decay`
  leaves alone (`config.optimizer.no_decay`).
- ``weights`` in the collection "intermediates": what an attention map of the report shows
  (`MultiHeadAttention` sows them), by the name of the layer above.
- ``auxiliary``, a collection: further logits in training, of `jaxdl.tasks.classification`.
- Top-level names in the order of the forward pass: `config.optimizer.layer_decay`.
"""

from jaxdl.layers import attention, dense, token, transformer
from jaxdl.layers.attention import MultiHeadAttention
from jaxdl.layers.cache import Cache
from jaxdl.layers.conv_act import ConvAct
from jaxdl.layers.conv_norm import ConvNorm
from jaxdl.layers.convolution import Conv
from jaxdl.layers.convolution_1d import Conv1D
from jaxdl.layers.dense import Dense
from jaxdl.layers.drop_path import DropPath
from jaxdl.layers.dropout import Dropout
from jaxdl.layers.feature_pyramid import FeaturePyramid
from jaxdl.layers.graph import GraphConv
from jaxdl.layers.graph_attention import GATConv
from jaxdl.layers.graph_isomorphism import GINConv
from jaxdl.layers.graph_norm import GraphAttentionPool, GraphNorm
from jaxdl.layers.graph_pool import GraphPool
from jaxdl.layers.graph_sage import SAGEConv
from jaxdl.layers.graph_stack import graph_stack
from jaxdl.layers.initializers import initializer
from jaxdl.layers.map_dense import MapDense
from jaxdl.layers.normalization import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    RMSNorm,
    frozen_norms,
)
from jaxdl.layers.patches import PatchEmbed, cut_patches
from jaxdl.layers.positions import (
    RelativePositions,
    learned_positions,
    relative_buckets,
    resize_positions,
    segment_positions,
    sincos_positions,
    sinusoids,
)
from jaxdl.layers.recurrent import GRU, LSTM, RNN, Bidirectional
from jaxdl.layers.region_proposals import RegionProposals
from jaxdl.layers.relative_bias import RelativeBias
from jaxdl.layers.spectral import SpectralConv, SpectralDense
from jaxdl.layers.squeeze_excite import SqueezeExcite
from jaxdl.layers.stacked import Carries, Stacked
from jaxdl.layers.token import TokenEmbedding, tied_logits
from jaxdl.layers.transformer import Block, FeedForward
from jaxdl.layers.transposed import ConvTranspose

# All of the above; the first that is found in a name counts.
TENSOR_RULES = (
    *attention.TENSOR_RULES,
    *transformer.TENSOR_RULES,
    *dense.TENSOR_RULES,
    *token.TENSOR_RULES,
)

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "TENSOR_RULES",
    "BatchNorm",
    "Bidirectional",
    "Block",
    "Cache",
    "Carries",
    "Conv",
    "Conv1D",
    "ConvAct",
    "ConvNorm",
    "ConvTranspose",
    "Dense",
    "DropPath",
    "Dropout",
    "FeaturePyramid",
    "FeedForward",
    "GATConv",
    "GINConv",
    "GraphAttentionPool",
    "GraphConv",
    "GraphNorm",
    "GraphPool",
    "GroupNorm",
    "InstanceNorm",
    "LayerNorm",
    "MapDense",
    "MultiHeadAttention",
    "PatchEmbed",
    "RMSNorm",
    "RegionProposals",
    "RelativeBias",
    "RelativePositions",
    "SAGEConv",
    "SpectralConv",
    "SpectralDense",
    "SqueezeExcite",
    "Stacked",
    "TokenEmbedding",
    "cut_patches",
    "frozen_norms",
    "graph_stack",
    "initializer",
    "learned_positions",
    "relative_buckets",
    "resize_positions",
    "segment_positions",
    "sincos_positions",
    "sinusoids",
    "tied_logits",
]
