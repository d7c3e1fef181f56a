"""Boxes (…, 4) as x0 y0 x1 y1: how they overlap, are coded, are thinned out and cut from maps."""

from jaxdl.ops.boxes_align import levels, pyramid_roi_align, roi_align
from jaxdl.ops.boxes_anchors import anchors, cell_anchors
from jaxdl.ops.boxes_coding import clip, corners, decode, encode, middles
from jaxdl.ops.boxes_overlap import area, ciou, diou, giou, iou, pairwise
from jaxdl.ops.boxes_suppression import Kept, objects, suppress

__all__ = [
    "Kept",
    "anchors",
    "area",
    "cell_anchors",
    "ciou",
    "clip",
    "corners",
    "decode",
    "diou",
    "encode",
    "giou",
    "iou",
    "levels",
    "middles",
    "objects",
    "pairwise",
    "pyramid_roi_align",
    "roi_align",
    "suppress",
]
