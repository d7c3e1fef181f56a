"""One number an example: how wrong a model is."""

from jaxdl.losses.alignment import ctc
from jaxdl.losses.cosines import arcface, info_nce, nt_xent, supervised_contrastive
from jaxdl.losses.metric_learning import contrastive, triplet
from jaxdl.losses.per_example import (
    binary_cross_entropy,
    cross_entropy,
    elbo,
    focal,
    huber,
    jensen_shannon,
    kl_divergence,
    mae,
    mse,
    normal_kl,
    normal_log_likelihood,
    poly1,
    quantile,
    softmax_focal,
    sparsity,
)
from jaxdl.losses.segmentation import dice, pixel_cross_entropy, pixel_focal

__all__ = [
    "arcface",
    "binary_cross_entropy",
    "contrastive",
    "cross_entropy",
    "ctc",
    "dice",
    "elbo",
    "focal",
    "huber",
    "info_nce",
    "jensen_shannon",
    "kl_divergence",
    "mae",
    "mse",
    "normal_kl",
    "normal_log_likelihood",
    "nt_xent",
    "pixel_cross_entropy",
    "pixel_focal",
    "poly1",
    "quantile",
    "softmax_focal",
    "sparsity",
    "supervised_contrastive",
    "triplet",
]
