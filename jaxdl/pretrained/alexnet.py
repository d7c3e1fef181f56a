"""AlexNet's published weights (Krizhevsky, 2014), as torchvision has them."""

from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import Table, conv, dense, merge, rule, transpose

TABLE = Table(
    rules=(
        *conv("features.0", "block_0/conv"),
        *conv("features.3", "block_1/conv"),
        *conv("features.6", "block_2/conv"),
        *conv("features.8", "block_3/conv"),
        *conv("features.10", "block_4/conv"),
        rule("classifier.1.weight", "dense_0/kernel", steps=[transpose(3, 2, 0, 1), merge(1, 3)]),
        rule("classifier.1.bias", "dense_0/bias"),
        *dense("classifier.4", "dense_1"),
        *dense("classifier.6", "head"),
    )
)

ALEXNET = register("alexnet")(
    Architecture(
        model="alexnet",
        inputs=images(),
        namings={"torchvision": Naming(TABLE, {"alexnet": Published("alexnet")})},
        head=("head",),
    )
)
