"""LeNet-5 as a plain PyTorch module of two convolutions and three dense layers.

No library publishes weights of it. The names are those of PyTorch's own introduction, where the
third convolution, which reads a 5x5 map, is a dense layer.
"""

from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, images
from jaxdl.pretrained.mapping import Table, conv, dense, merge, rule, transpose

TABLE = Table(
    rules=(
        *conv("conv1", "block_0/conv"),
        *conv("conv2", "block_1/conv"),
        rule("fc1.weight", "block_2/conv/kernel", steps=[transpose(3, 2, 0, 1), merge(1, 3)]),
        rule("fc1.bias", "block_2/conv/bias"),
        *dense("fc2", "dense"),
        *dense("fc3", "head"),
    )
)

LENET = register("lenet")(
    Architecture(
        model="lenet",
        inputs=images(32, channels=1),
        namings={"torch": Naming(TABLE)},
        head=("head",),
    )
)
