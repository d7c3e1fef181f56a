"""How good generated examples are: like the real ones, new, of every class, and of all their kinds.

All in NumPy float64 on the host, on examples or features (n, d): where features come from is not
known here. Figures of features are worth what the features are, and comparable only where these are
the same, and where there are as many examples: most are biased by their number.
"""

from jaxdl.metrics.directions import HIGH, LOW
from jaxdl.metrics.sample_quality.kernel import KernelDistance, kernel_distance
from jaxdl.metrics.sample_quality.manifold import (
    Coverage,
    Manifold,
    density_coverage,
    precision_recall,
)
from jaxdl.metrics.sample_quality.moments import Moments, frechet_distance
from jaxdl.metrics.sample_quality.named import InceptionScore, inception_score
from jaxdl.metrics.sample_quality.neighbours import (
    copies,
    least_class_share,
    named_right,
    nearest,
    two_sample_accuracy,
)

__all__ = [
    "BY_FEATURES",
    "DIRECTIONS",
    "Coverage",
    "InceptionScore",
    "KernelDistance",
    "Manifold",
    "Moments",
    "copies",
    "density_coverage",
    "frechet_distance",
    "inception_score",
    "kernel_distance",
    "least_class_share",
    "named_right",
    "nearest",
    "precision_recall",
    "two_sample_accuracy",
]

# Which way the figures are good; of copies few, so that their distance is a large one.
DIRECTIONS = {
    "two_sample_accuracy": LOW,
    "copies": HIGH,
    "least_class_share": HIGH,
    "named_right": HIGH,
}

# The same of figures that are logged as "fid/digits", behind the stroke whose features they are of.
BY_FEATURES = {
    "fid": LOW,
    "kid": LOW,
    "precision": HIGH,
    "recall": HIGH,
    "inception_score": HIGH,
}
