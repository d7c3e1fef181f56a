"""GoogLeNet's published weights (Szegedy et al., 2014), as torchvision has them."""

from jaxdl.models.googlenet import GoogLeNet
from jaxdl.pretrained import register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.mapping import Rule, Table, batch_norm, conv, dense, merge, rule, transpose

# Of a block, by stage and place in it: stages are counted from 3, blocks by letters.
_BRANCHES = {
    "branch1": "one",
    "branch2.0": "to_three",
    "branch2.1": "three",
    "branch3.0": "to_large",
    "branch3.1": "large",
    "branch4.1": "projected",
}


def _conv(theirs: str, ours: str) -> tuple[Rule, ...]:
    return *conv(f"{theirs}.conv", f"{ours}/conv"), *batch_norm(f"{theirs}.bn", f"{ours}/norm")


def _table(module: GoogLeNet) -> Table:
    rules = [one for i in range(3) for one in _conv(f"conv{i + 1}", f"stem_{i}")]
    for i, stage in enumerate(module.stages):
        for j in range(len(stage)):
            block = f"inception{i + 3}{chr(ord('a') + j)}"
            for theirs, ours in _BRANCHES.items():
                rules += _conv(f"{block}.{theirs}", f"block_{i}_{j}/{ours}")
    return Table(
        rules=(
            *rules,
            *_conv("aux{i}.conv", "aux_{i}/conv"),
            rule(
                "aux{i}.fc1.weight",
                "aux_{i}/dense/kernel",
                steps=[transpose(3, 2, 0, 1), merge(1, 3)],
            ),
            rule("aux{i}.fc1.bias", "aux_{i}/dense/bias"),
            *dense("aux{i}.fc2", "aux_{i}/head"),
            *dense("fc", "head"),
        ),
        # The published file has auxiliary heads, which nobody has trained.
        ignored=() if module.has_aux else (r"aux[12]\..*",),
    )


GOOGLENET = register("googlenet")(
    Architecture(
        model="googlenet",
        inputs=images(),
        namings={
            "torchvision": Naming(
                _table, {"googlenet": Published("googlenet", dict(transform_input=True))}
            )
        },
        head=("head", "aux_1/head", "aux_2/head"),
    )
)
