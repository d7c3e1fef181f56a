"""ViT, as torchvision, timm and transformers have it."""

from make_classifiers import Case
from timm.models.vision_transformer import VisionTransformer as Timm
from torchvision.models.vision_transformer import VisionTransformer
from transformers import ViTConfig, ViTForImageClassification
from transformers.core_model_loading import revert_weight_conversion

WIDTH, DEPTH, HEADS = 32, 3, 4
IMAGE = (3, 32, 32, 3)
FIELDS = dict(patch_size=8, width=WIDTH, depth=DEPTH, heads=HEADS, num_classes=10)


class Saved(ViTForImageClassification):
    """With its tensors named as in its files: version 5 has other names in memory."""

    def _named(self, tensors):
        return revert_weight_conversion(self, dict(tensors))

    def state_dict(self):
        """By the names of files."""
        return self._named(super().state_dict())

    def load_state_dict(self, state):
        """By the names of files."""
        theirs = {
            of: name for name, of in self._named((n, n) for n in super().state_dict()).items()
        }
        super().load_state_dict({name: state[theirs[name]] for name in theirs})

    def named_parameters(self, *args, **how):
        """By the names of files."""
        return self._named(super().named_parameters(*args, **how)).items()


def torchvision():
    """With query, key and value packed."""
    return VisionTransformer(32, 8, DEPTH, HEADS, WIDTH, 4 * WIDTH, num_classes=10)


def timm(**others):
    """With query, key and value packed."""
    sizes = dict(embed_dim=WIDTH, depth=DEPTH, num_heads=HEADS, num_classes=10)
    return Timm(img_size=32, patch_size=8, **sizes, **others)


def transformers():
    """With another ε, and hidden features of its own."""
    config = ViTConfig(
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=3 * WIDTH,
        image_size=32,
        patch_size=8,
        num_labels=10,
    )
    return Saved(config)


def case(make, naming: str, block: str, norm: str, **fields) -> Case:
    """Their names of a block and of the norm behind all of them."""
    blocks = {f"block_{i}": block.format(i=i) for i in range(DEPTH)}
    blocks["norm"] = norm
    return Case(make, IMAGE, "vit", {**FIELDS, **fields}, naming, blocks=blocks)


def mean():
    """As in timm's models called gap: no class token, the norm in front of the mean."""
    return timm(class_token=False, global_pool="avg", fc_norm=False)


CASES = {
    "vit_torchvision": case(
        torchvision, "torchvision", "encoder.layers.encoder_layer_{i}", "encoder.ln"
    ),
    "vit_timm": case(timm, "timm", "blocks.{i}", "norm"),
    "vit_timm_mean": case(mean, "timm", "blocks.{i}", "norm", pool="mean"),
    "vit_transformers": case(
        transformers,
        "transformers",
        "vit.layers.{i}",
        "vit.layernorm",
        mlp_ratio=3.0,
        norm_epsilon=1e-12,
    ),
}
