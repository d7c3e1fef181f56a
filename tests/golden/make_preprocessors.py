"""Writes preprocessors.npz: what transformers' image processors make of two pictures.

Read by tests/test_preprocessor.py. The processors are those that compute by NumPy and Pillow.

pip install torch==2.13.0 transformers && python tests/golden/make_preprocessors.py
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
from make_classifiers import import_torchvision
from PIL import Image

import_torchvision()
import transformers  # noqa: E402

PATH = Path(__file__).parent / "preprocessors.npz"
VIT, CONVNEXT, MOBILE, EFFICIENT = "ViT", "ConvNext", "MobileViT", "EfficientNet"
SQUARE = {"height": 16, "width": 16}
SHORT = {"shortest_edge": 16}
# A name, the processor, the fields of the file.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "nothing": (VIT, {}),
    "size": (VIT, dict(size=16)),
    "square": (VIT, dict(size=SQUARE, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.4])),
    "pair": (VIT, dict(size=[16, 16])),
    "scalar mean": (VIT, dict(size=16, image_mean=0.25, image_std=0.125)),
    "rescale_factor": (VIT, dict(size=16, rescale_factor=1 / 127.5)),
    "no rescale": (VIT, dict(size=16, do_rescale=False)),
    "no normalize": (VIT, dict(size=16, do_normalize=False)),
    "neither": (VIT, dict(size=16, do_normalize=False, do_rescale=False)),
    **{f"resample {i}": (VIT, dict(size=16, resample=i)) for i in range(6)},
    "null": (VIT, dict(size=16, do_normalize=None, do_center_crop=None)),
    "crop": (VIT, dict(size=17, do_center_crop=True, crop_size=12)),
    "crop outside": (VIT, dict(size=12, do_center_crop=True, crop_size=dict(height=17, width=17))),
    "crop alone": (VIT, dict(do_resize=False, do_center_crop=True, crop_size=16)),
    "others' fields": (
        VIT, dict(size=16, include_top=True, do_flip_channel_order=True, crop_pct=0.5),
    ),
    "deit": ("DeiT", dict(size=19, crop_size=16)),
    "clip": ("CLIP", dict(size=SHORT, crop_size=13)),
    "bit": ("Bit", dict(size=15, crop_size=[12, 12])),
    "convnext nothing": (CONVNEXT, {}),
    "convnext": (CONVNEXT, dict(size=SHORT)),
    "convnext size": (CONVNEXT, dict(size=16, crop_pct=0.6, resample=2)),
    "convnext large": (CONVNEXT, dict(size=400, crop_pct=0.6)),
    "convnext cut": (CONVNEXT, dict(size=16, do_center_crop=True, crop_size=16)),
    "mobilevit nothing": (MOBILE, {}),
    "mobilevit": (MOBILE, dict(size=SHORT, crop_size=13)),
    "mobilevit rgb": (MOBILE, dict(size=16, crop_size=14, do_flip_channel_order=False)),
    "mobilevit normalize": (MOBILE, dict(size=16, crop_size=14, do_normalize=True)),
    "efficientnet nothing": (EFFICIENT, {}),
    "efficientnet": (EFFICIENT, dict(size=16, image_std=[0.2, 0.3, 0.4])),
    "efficientnet top": (EFFICIENT, dict(size=16, include_top=False, resample=0)),
    "efficientnet offset": (
        EFFICIENT, dict(size=16, rescale_offset=True, rescale_factor=1 / 127.5),
    ),
    "efficientnet top alone": (EFFICIENT, dict(size=16, do_normalize=False)),
    "efficientnet unscaled": (EFFICIENT, dict(size=16, do_rescale=False, rescale_offset=True)),
    "efficientnet crop": (EFFICIENT, dict(size=20, do_center_crop=True, crop_size=17)),
}  # fmt: skip


def pictures() -> list[np.ndarray]:
    """Lying and upright, sides of every remainder, with edges and slopes."""
    draws = np.random.default_rng(5)
    found = []
    for height, width in ((29, 43), (41, 22)):
        coarse = draws.integers(0, 256, (5, 7, 3), np.uint8)
        smooth = np.asarray(Image.fromarray(coarse).resize((width, height), Image.BICUBIC))
        noise = draws.integers(-20, 21, smooth.shape)
        found.append((smooth + noise).clip(0, 255).astype(np.uint8))
    return found


def main() -> None:
    """Writes the file."""
    arrays = {f"picture_{i}": picture for i, picture in enumerate(pictures())}
    for name, (kind, fields) in CASES.items():
        processor = getattr(transformers, f"{kind}ImageProcessorPil").from_dict(fields)
        for i, picture in enumerate(pictures()):
            found = processor(Image.fromarray(picture), return_tensors="np")["pixel_values"][0]
            every = -(-found.shape[-1] // 20)
            arrays[f"{name}_{i}"] = found.transpose(1, 2, 0)[::every, ::every].astype(np.float32)
            arrays[f"{name}_side"] = np.int32(found.shape[1:])
    cases = json.dumps({name: [kind, fields] for name, (kind, fields) in CASES.items()})
    np.savez_compressed(PATH, cases=cases, **arrays)


if __name__ == "__main__":
    main()
