"""Writes vit_npz/*.npz: small ViTs in the names of Google's releases, and timm's logits of them.

pip install torch==2.13.0 timm && python tests/golden/make_vit_npz.py
"""

from pathlib import Path

import numpy as np
import torch
from make_classifiers import import_torchvision

import_torchvision()
from timm.models import vision_transformer  # noqa: E402

FOLDER = Path(__file__).parent / "vit_npz"
WIDTH, DEPTH, HEADS, PATCH, SIDE, CLASSES = 16, 2, 2, 8, 24, 3


def arrays(is_big_vision: bool) -> dict[str, np.ndarray]:
    """All of a model, by the names of google-research/vision_transformer or big_vision."""
    draws = np.random.default_rng(7)
    drawn = lambda *shape: draws.normal(0, 0.3, shape).astype(np.float32)
    attention, second, mlp = (0, 1, 0) if is_big_vision else (1, 2, 3)
    patches = (SIDE // PATCH) ** 2
    found = {"embedding/kernel": drawn(PATCH, PATCH, 3, WIDTH), "embedding/bias": drawn(WIDTH)}
    if is_big_vision:
        found["pos_embedding"] = drawn(1, patches, WIDTH)
    else:
        found["cls"] = drawn(1, 1, WIDTH)
        found["Transformer/posembed_input/pos_embedding"] = drawn(1, patches + 1, WIDTH)
    norms = ["Transformer/encoder_norm"]
    for i in range(DEPTH):
        block = f"Transformer/encoderblock_{i}"
        norms += [f"{block}/LayerNorm_0", f"{block}/LayerNorm_{second}"]
        heads = f"{block}/MultiHeadDotProductAttention_{attention}"
        for name in ("query", "key", "value"):
            found[f"{heads}/{name}/kernel"] = drawn(WIDTH, HEADS, WIDTH // HEADS)
            found[f"{heads}/{name}/bias"] = drawn(HEADS, WIDTH // HEADS)
        found[f"{heads}/out/kernel"] = drawn(HEADS, WIDTH // HEADS, WIDTH)
        found[f"{heads}/out/bias"] = drawn(WIDTH)
        for j, sizes in enumerate([(WIDTH, 4 * WIDTH), (4 * WIDTH, WIDTH)]):
            found[f"{block}/MlpBlock_{mlp}/Dense_{j}/kernel"] = drawn(*sizes)
            found[f"{block}/MlpBlock_{mlp}/Dense_{j}/bias"] = drawn(sizes[1])
    for name in norms:
        found[f"{name}/scale"], found[f"{name}/bias"] = 1 + drawn(WIDTH), drawn(WIDTH)
    found["head/kernel"], found["head/bias"] = drawn(WIDTH, CLASSES), drawn(CLASSES)
    prefix = "params/" if is_big_vision else ""
    return {prefix + name: array for name, array in found.items()}


def main() -> None:
    """Writes both."""
    FOLDER.mkdir(exist_ok=True)
    images = np.random.default_rng(8).random((2, SIDE, SIDE, 3), np.float32)
    for name, is_big_vision in dict(vision_transformer=False, big_vision=True).items():
        path = FOLDER / f"{name}.npz"
        np.savez(path, **arrays(is_big_vision))
        pool = dict(global_pool="avg", class_token=False, fc_norm=False) if is_big_vision else {}
        model = vision_transformer.VisionTransformer(
            img_size=SIDE, patch_size=PATCH, embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS,
            num_classes=CLASSES, **pool,
        ).eval()  # fmt: skip
        model.load_pretrained(str(path))
        with torch.no_grad():
            logits = model(torch.from_numpy(images).permute(0, 3, 1, 2)).numpy()
        np.savez(FOLDER / f"{name}_logits.npz", images=images, logits=logits)


if __name__ == "__main__":
    main()
