"""Faster R-CNN's published weights (Ren et al., 2015), as torchvision has them."""

import functools

from jaxdl.data.preprocess import Preprocess
from jaxdl.errors import UserError
from jaxdl.models.faster_rcnn import FasterRCNN
from jaxdl.pretrained import catalog, register
from jaxdl.pretrained.architecture import Architecture, Naming, Published, images
from jaxdl.pretrained.backbones import under
from jaxdl.pretrained.mapping import Rule, Table, conv, dense, merge, rule, transpose

# Pictures are 800 to 1333 pixels large there, of any proportion; the model standardises them.
_PREPROCESS = Preprocess(800, 800, mean=(0, 0, 0), std=(1, 1, 1), squash=True)

# Before torchvision 0.13 the convolutions of the pyramid and of the proposals stood one module less
# deep; the file of its first published model, of 2019, has those names.
_NOW, _BEFORE = "torchvision", "torchvision before 0.13"


def _body(module: FasterRCNN) -> list[Rule]:
    """The backbone's, with batch norms that learn and with frozen ones."""
    own = module.create_backbone()
    namings = catalog.of(own).namings
    if _NOW not in namings:
        raise UserError(
            f"config.model.backbone={module.backbone!r} has no names of torchvision's, so there "
            "are none of a detector of it: that takes a ResNet"
        )
    rules = []
    for each in namings[_NOW].table_of(own).rules:
        theirs = f"backbone.body.{each.theirs}"
        for frozen in (False, True):
            ours = tuple(under(name, frozen) for name in each.ours)
            if not frozen or ours != rules[-1].ours:
                rules.append(each._replace(theirs=theirs, ours=ours))
    return rules


def _table(module: FasterRCNN, nested: bool) -> Table:
    inner, outer = (".0", ".0.0") if nested else ("", "")
    fpn, rpn, roi = "backbone.fpn", "rpn.head", "roi_heads"
    return Table(
        rules=(
            *_body(module),
            *conv(f"{fpn}.inner_blocks.{{i}}{inner}", "pyramid/inner_{i}"),
            *conv(f"{fpn}.layer_blocks.{{i}}{inner}", "pyramid/outer_{i}"),
            *conv(f"{rpn}.conv{outer}", "proposals/shared/conv"),
            *conv(f"{rpn}.cls_logits", "proposals/objectness"),
            *conv(f"{rpn}.bbox_pred", "proposals/deltas"),
            rule(
                f"{roi}.box_head.fc6.weight",
                "dense_0/kernel",
                steps=[transpose(3, 2, 0, 1), merge(1, 3)],
            ),
            rule(f"{roi}.box_head.fc6.bias", "dense_0/bias"),
            *dense(f"{roi}.box_head.fc7", "dense_1"),
            *dense(f"{roi}.box_predictor.cls_score", "head_class"),
            *dense(f"{roi}.box_predictor.bbox_pred", "head_box"),
        )
    )


# That of COCO is trained with an epsilon of 0 in its frozen norms.
_MODELS = {"fasterrcnn_resnet50_fpn": Published("faster_rcnn", dict(norm_epsilon=0.0), _PREPROCESS)}

FASTER_RCNN = register("faster_rcnn")(
    Architecture(
        model="faster_rcnn",
        inputs=images(128),
        namings={
            _NOW: Naming(functools.partial(_table, nested=True), _MODELS),
            _BEFORE: Naming(functools.partial(_table, nested=False), _MODELS),
        },
        head=("head_class", "head_box"),
        # By the classes' logits; of the boxes' there are four times as many.
        head_size=lambda module: (1, 1),
    )
)
