"""What each operation means, as pure functions on arrays; nothing here holds parameters."""

from jaxdl.ops import bicubic, boxes, colours
from jaxdl.ops.activations import (
    activation,
    elu,
    gelu,
    gelu_tanh,
    leaky_relu,
    relu,
    sigmoid,
    silu,
    softmax,
    tanh,
)
from jaxdl.ops.argmax import argmax
from jaxdl.ops.attention import attention, attention_weights, join_masks
from jaxdl.ops.convolution import conv
from jaxdl.ops.cross_entropy import cross_entropy
from jaxdl.ops.dropout import dropout
from jaxdl.ops.forms import references
from jaxdl.ops.graph import (
    Edges,
    arrived,
    arrived_softmax,
    connect,
    in_rows,
    normalised,
    receivers,
    senders,
)
from jaxdl.ops.graph_batch import Members, members_of, pack_graphs
from jaxdl.ops.graph_heads import sum_of_heads
from jaxdl.ops.graph_parts import edges_in_parts, places_in_parts
from jaxdl.ops.hops import Hops, of_layer
from jaxdl.ops.labelling import needed_frames
from jaxdl.ops.linear import by_table, dense, dense_each
from jaxdl.ops.local_response import local_response_norm
from jaxdl.ops.mirrored import mirrored
from jaxdl.ops.modulated_convolution import modulated_conv
from jaxdl.ops.neighbours import aggregate
from jaxdl.ops.normalization import group_norm, layer_norm, rms_norm
from jaxdl.ops.pixel_shuffle import pixel_shuffle
from jaxdl.ops.pooling import adaptive_avg_pool, avg_pool, max_pool
from jaxdl.ops.recurrent import gru, lstm, rnn
from jaxdl.ops.resampled import conv_downsampled, conv_upsampled
from jaxdl.ops.roots import safe_sqrt
from jaxdl.ops.segments import (
    segment_max,
    segment_mean,
    segment_reduction,
    segment_softmax,
    segment_sum,
)
from jaxdl.ops.spectrogram import log_mel, mel_bands, power_spectrogram, whisper_log_mel
from jaxdl.ops.transposed import conv_transpose
from jaxdl.ops.upfirdn import downsampled, upfirdn, upsampled
from jaxdl.ops.wide import wide_dtype, widen

__all__ = [
    "Edges",
    "Hops",
    "Members",
    "activation",
    "adaptive_avg_pool",
    "aggregate",
    "argmax",
    "arrived",
    "arrived_softmax",
    "attention",
    "attention_weights",
    "avg_pool",
    "bicubic",
    "boxes",
    "by_table",
    "colours",
    "connect",
    "conv",
    "conv_downsampled",
    "conv_transpose",
    "conv_upsampled",
    "cross_entropy",
    "dense",
    "dense_each",
    "downsampled",
    "dropout",
    "edges_in_parts",
    "elu",
    "gelu",
    "gelu_tanh",
    "group_norm",
    "gru",
    "in_rows",
    "join_masks",
    "layer_norm",
    "leaky_relu",
    "local_response_norm",
    "log_mel",
    "lstm",
    "max_pool",
    "mel_bands",
    "members_of",
    "mirrored",
    "modulated_conv",
    "needed_frames",
    "normalised",
    "of_layer",
    "pack_graphs",
    "pixel_shuffle",
    "places_in_parts",
    "power_spectrogram",
    "receivers",
    "references",
    "relu",
    "rms_norm",
    "rnn",
    "safe_sqrt",
    "segment_max",
    "segment_mean",
    "segment_reduction",
    "segment_softmax",
    "segment_sum",
    "senders",
    "sigmoid",
    "silu",
    "softmax",
    "sum_of_heads",
    "tanh",
    "upfirdn",
    "upsampled",
    "whisper_log_mel",
    "wide_dtype",
    "widen",
]
