"""One number an example: how wrong a model is."""

from jaxdl.losses.alignment import ctc
from jaxdl.losses.per_example import (
    binary_cross_entropy,
    cross_entropy,
    elbo,
    focal,
    huber,
    kl_divergence,
    mae,
    mse,
    normal_kl,
    normal_log_likelihood,
    sparsity,
)
from jaxdl.losses.segmentation import dice, pixel_cross_entropy, pixel_focal

__all__ = [
    "binary_cross_entropy",
    "cross_entropy",
    "ctc",
    "dice",
    "elbo",
    "focal",
    "huber",
    "kl_divergence",
    "mae",
    "mse",
    "normal_kl",
    "normal_log_likelihood",
    "pixel_cross_entropy",
    "pixel_focal",
    "sparsity",
]
