#!/usr/bin/env bash
# pycocotools 2.0.11: an object whose annotation id is 0 counts as missed, however well it is found.
# Expected: ids are names; a detection that is the object, pixel for pixel, has average precision 1.
# Seen: with id 1 the average precision is 0.9999999999999998, with id 0 it is 0: matches are kept as
# ids, and 0 stands for "none".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet numpy==2.4.0 pycocotools==2.0.11
"$folder/env/bin/python" - <<'PY'
import contextlib
import io

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def average_precision(annotation_id: int) -> float:
    box = [10.0, 10.0, 40.0, 40.0]
    truth = COCO()
    truth.dataset = {
        "info": {},
        "images": [{"id": 1, "width": 100, "height": 100}],
        "categories": [{"id": 1, "name": "thing"}],
        "annotations": [
            {"id": annotation_id, "image_id": 1, "category_id": 1, "bbox": box, "area": 1600.0,
             "iscrowd": 0}
        ],
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found = truth.loadRes([{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.9}])
        evaluation = COCOeval(truth, found, "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0])


one, zero = average_precision(1), average_precision(0)
print("id 1:", one, "id 0:", zero)
assert (one, zero) == (0.9999999999999998, 0.0), "this has changed"
PY
