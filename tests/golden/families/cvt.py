"""CvT, as transformers has it; an image of 48 pixels has a map of odd sides."""

from make_classifiers import Case
from transformers import CvtConfig, CvtForImageClassification

DEPTHS, WIDTHS, HEADS = (1, 2, 3), (16, 32, 48), (1, 2, 3)


def case(pool: str, size: int) -> Case:
    """A small one, with a class token or without."""

    def make():
        config = CvtConfig(
            depth=list(DEPTHS),
            embed_dim=list(WIDTHS),
            num_heads=list(HEADS),
            cls_token=[False, False, pool == "token"],
            drop_path_rate=[0.0, 0.0, 0.0],
            # Without a class token the library fails where there are no further outputs.
            output_hidden_states=pool == "mean",
            num_labels=10,
        )
        return CvtForImageClassification(config)

    stages = "cvt.encoder.stages"
    named = {f"embed_norm_{i}": f"{stages}.{i}.embedding" for i in range(3)}
    named |= {
        f"block_{i}_{j}": f"{stages}.{i}.layers.{j}"
        for i, depth in enumerate(DEPTHS)
        for j in range(depth)
    }
    sizes = dict(depths=DEPTHS, widths=WIDTHS, heads=HEADS)
    return Case(
        make,
        (4, size, size, 3),
        "cvt",
        dict(num_classes=10, pool=pool, drop_path=0.0, **sizes),
        "transformers",
        blocks=named,
        pyramid={4 << i: f"{stages}.{i}" for i in range(3)},
    )


CASES = {"cvt_token": case("token", 48), "cvt_mean": case("mean", 64)}
