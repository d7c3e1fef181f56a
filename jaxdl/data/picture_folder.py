"""A folder of pictures of any sizes, to be made larger."""

from concurrent.futures import ThreadPoolExecutor

from jaxdl.data import Data, parts, pictures, register, smaller, statistics
from jaxdl.data.annotated import IN_MEMORY
from jaxdl.data.layout import parts_or_whole


@register("picture_folder")
def picture_folder(
    path: str = "",
    scale: int = 2,
    patch: int = 24,
    stride: int = 0,
    channels: int = 3,
    split: str = "random",
    test_fraction: float = 0.2,
    split_seed: int = 0,
    eval_on: str = "test",
) -> Data:
    """Patches of ``path/*.png`` and deeper, or of the same under ``train`` and the other parts.

    As `jaxdl.data.photographs` has them: what is learned from are pictures that Pillow's bicubic
    filter makes smaller. Sides that ``scale`` does not divide are cut at the right and lower edge.

    Args:
      path: the folder.
      scale: by how many times pictures are to become larger: 2, 3 or 4.
      patch: pixels a side of the small squares; no picture, made smaller, may be smaller.
      stride: pixels from one square that is learned from to the next; 0 is ``patch``.
      channels: 3 for colour, 1 for grey.
      split: "random" or "halves", where there is no test part; whole pictures are divided.
      test_fraction: size of the random test part.
      split_seed: of the draw.
      eval_on: "test", or "validation" for the data's own or a share of the training part.
    """
    smaller.check(scale, channels, patch, stride)
    root = pictures.root_of(path)
    found = {
        part: smaller.Files(pictures.below(folder), scale, channels)
        for part, folder in parts_or_whole(root).items()
    }
    how = dict(split=split, test_fraction=test_fraction, split_seed=split_seed, eval_on=eval_on)
    divided = parts.divided(found["train"], found.get("test"), found.get("validation"), how)
    kept = {name: part for name, part in divided._asdict().items() if part is not None}
    sizes = {name: part.sizes for name, part in kept.items()}
    pixels = sum(height * width for part in sizes.values() for height, width in part)
    in_memory = pixels * channels * (1 + 1 / scale**2) <= IN_MEMORY

    def patches(name: str, part: smaller.Files) -> smaller.Patches:
        small = [(height // scale, width // scale) for height, width in sizes[name]]
        step = stride if stride and name == "train" else patch
        made = smaller.Patches(part, [str(file) for file in part.files], small, patch, step)
        if in_memory:
            with ThreadPoolExecutor(8) as threads:
                made.pictures = list(threads.map(part.__getitem__, range(len(part))))
        return made

    made = {name: patches(name, part) for name, part in kept.items()}
    mean, std = statistics.of_channels(made["train"], most=512)
    return Data(**made, mean=mean, std=std)
