"""Initial weights by name."""

from collections.abc import Callable

from flax import linen as nn

from jaxdl.registry import choose

INITIALIZERS: dict[str, Callable] = {
    # Var[w] = 2 / (fan_in + fan_out): keeps variance through linear and tanh layers, both ways.
    "xavier_uniform": nn.initializers.xavier_uniform(),
    "xavier_normal": nn.initializers.xavier_normal(),
    # Var[w] = 2 / fan_in: makes up for the half that a ReLU throws away.
    "he_uniform": nn.initializers.he_uniform(),
    "he_normal": nn.initializers.he_normal(),
    # Var[w] = 1 / fan_in.
    "lecun_normal": nn.initializers.lecun_normal(),
    "zeros": nn.initializers.zeros_init(),
}

# He et al., 2015, equation 14: Var[w] = 2 / fan_out keeps the gradient's variance. Not truncated,
# as torchvision and timm draw convolutions.
FAN_OUT = nn.initializers.variance_scaling(2.0, "fan_out", "normal")
# The same of a depthwise kernel: each of its channels reaches one, so that its fan out is what
# counts as its fan in.
DEPTHWISE = nn.initializers.variance_scaling(2.0, "fan_in", "normal")
# Var[w] = 1 / (3 fan_in), uniform: what PyTorch's layers draw unless told otherwise (LeCun et al.,
# 1998, equation 16, with the bound where that has the deviation).
PYTORCH = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


def initializer(name: str) -> Callable:
    """A function (key, shape, dtype) -> array of initial weights.

    Xavier: Glorot and Bengio, 2010, equation 16. He: He et al., 2015, equation 10. LeCun et al.,
    1998, equation 16. The normal ones are truncated at two standard deviations and rescaled, so
    that their variance is the one stated.

    Raises:
      UserError: the name is unknown.
    """
    return choose("initializer", name, INITIALIZERS)
