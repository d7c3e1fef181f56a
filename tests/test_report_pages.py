"""Report pages are legible: on a phone, of two hundred layers, of one evaluation."""

import io
import re

import numpy as np
import pytest
from PIL import Image

from jaxdl.report import boxes, draw, page

CHART = draw.curves("loss", {"eval": ([12], [0.5])})
DEEP = [f"encoder/block_{i // 8:02d}/cross_attention/layer_norm_{i % 8}" for i in range(200)]


def heatmap(rows):
    values = np.random.default_rng(0).normal(size=(len(rows), 100))
    return draw.heatmap("norm", values, rows, range(100), unit="log10 of the norm")


def pixels(picture):
    return Image.open(io.BytesIO(picture.data)).size


@pytest.mark.parametrize(
    "picture, width",
    [
        (CHART, 5.2 * 96),
        (draw.coloured_text([("1.2", [("abc", 0.5)])]), 7.22 * 7),
        (draw.image_grid(np.zeros((8, 8, 8, 1)), [""] * 8), 8 * 1.05 * 130),
    ],
)
def test_a_picture_is_shown_at_two_thirds_of_its_width_at_least(picture, width):
    assert page.width(picture) == pytest.approx(width, abs=1)
    if picture.kind == "png":
        assert page.width(picture) == pixels(picture)[0]
    assert f"style='min-width:{page.width(picture) * 2 / 3:.0f}px'" in page.image(picture)


def test_rows_of_a_deep_network_do_not_overlap_and_leave_room_for_colours():
    picture = heatmap(DEEP)
    width, height = pixels(picture)
    letter = 7 / 72 * 130
    assert height / len(DEEP) > 1.3 * letter
    assert width - 0.62 * letter * max(map(len, DEEP)) > 3 * 130
    assert len(page.document("deep", [page.image(picture)])) < 5e6
    # The numbers of the colour bar stand beside it, on top; nothing is cut at the right edge.
    shown = np.asarray(Image.open(io.BytesIO(picture.data)).convert("L"))
    assert (shown[: 3 * 130, -110:] < 90).any()
    assert (shown[:, -5:] == 255).all()


def test_few_rows_leave_room_for_what_the_colours_mean():
    assert pixels(heatmap(DEEP[:1]))[1] > 2 * 130


def test_steps_are_whole_numbers():
    ticks = re.findall(r">([\d.]+)</text>", CHART.data.decode())
    assert "12" in ticks
    assert not {"11.6", "11.8", "12.2", "12.4"} & set(ticks)


def test_words_at_boxes_leave_captions_alone():
    def drawn(caption, *places):
        found = boxes.Boxes(np.array(places, float).reshape(-1, 4), ["7"] * len(places))
        none = boxes.Boxes(np.zeros((0, 4)), ())
        image = np.ones((1, 100, 100, 1))
        picture = boxes.scenes(image, [found], [none], [caption], columns=1)
        return np.asarray(Image.open(io.BytesIO(picture.data)).convert("RGB"), int)

    empty, full = drawn("a"), drawn("a", (20, 0, 60, 40))
    changed = np.flatnonzero((empty != full).any(axis=(1, 2)))
    # The image begins below its caption; a line of the box is a pixel or two wide.
    first = np.flatnonzero((empty < 60).all(axis=2).mean(axis=1) > 0.5)[0]
    assert changed.min() >= first - 2
