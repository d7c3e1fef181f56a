"""What a checkpoint's folder says of its images: the numbers that transformers makes of pictures.

golden/preprocessors.npz is made by golden/make_preprocessors.py.
"""

import json
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxdl import pretrained
from jaxdl.data.preprocess import Preprocess, fitted, image, standardised
from jaxdl.errors import UserError
from jaxdl.pretrained import catalog, preprocessor

GOLDEN = np.load(Path(__file__).parent / "golden" / "preprocessors.npz")
CASES = json.loads(str(GOLDEN["cases"]))
PATH = Path("there") / preprocessor.NAME


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    files = [folder / f"{i}.png" for i in range(2)]
    for i, file in enumerate(files):
        Image.fromarray(GOLDEN[f"picture_{i}"]).save(file)
    return files


@pytest.mark.parametrize("name", CASES)
def test_every_field_gives_the_numbers_of_transformers(name, pictures):
    kind, fields = CASES[name]
    fields = {"image_processor_type": f"{kind}ImageProcessor", **fields}
    found = preprocessor.of_transformers(fields, PATH)
    for i, file in enumerate(pictures):
        seen = standardised(jnp.asarray(image(file, found)), found)
        assert seen.shape[:2] == tuple(GOLDEN[f"{name}_side"])
        every = -(-seen.shape[0] // 20)
        expected = GOLDEN[f"{name}_{i}"]
        atol = 2e-6 * max(1, np.abs(expected).max())
        np.testing.assert_allclose(seen[::every, ::every], expected, atol=atol)


@pytest.mark.parametrize(
    "said, model_type, expected",
    [
        (dict(image_processor_type="ConvNextImageProcessorFast"), "vit", "convnext nothing"),
        (dict(feature_extractor_type="MobileViTFeatureExtractor"), None, "mobilevit nothing"),
        ({}, "resnet", "convnext nothing"),
        ({}, "efficientnet", "efficientnet nothing"),
        ({}, None, "nothing"),
    ],
)
def test_the_processor_is_the_files_or_else_the_models(said, model_type, expected):
    kind, fields = CASES[expected]
    named = {"image_processor_type": f"{kind}ImageProcessor", **fields}
    found = preprocessor.of_transformers(said, PATH, model_type)
    assert found == preprocessor.of_transformers(named, PATH)


def test_a_file_without_fields_asks_for_what_is_taken_for_granted(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "convnext"}')
    assert preprocessor.beside(tmp_path) is None
    (tmp_path / preprocessor.NAME).write_text("{}")
    kind, _ = CASES["convnext nothing"]
    named = {"image_processor_type": f"{kind}ImageProcessor"}
    assert preprocessor.beside(tmp_path) == preprocessor.of_transformers(named, PATH)


CUT = dict(do_center_crop=True)


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(size={"longest_edge": 16}), "size={'longest_edge': 16} is not supported"),
        (dict(size={"shortest_edge": 16, "longest_edge": 32}), "size=.* is not supported"),
        (dict(size={"max_height": 16, "max_width": 16}), "size=.* is not supported"),
        (dict(size={"shortest_edge": 16}), "size=.* without do_center_crop is not supported"),
        (dict(size=[16, 24]), r"size=\[16, 24\] is not supported: only squares are"),
        (dict(size={"height": 16, "width": 24}), "size=.* only squares are"),
        (dict(size="large"), "size='large' must be pixels"),
        (dict(size=0), "size=0 must be pixels"),
        (dict(size=True), "size=True must be pixels"),
        (dict(size=[16]), r"size=\[16\] must be pixels"),
        (dict(size=[]), r"size=\[\] must be pixels"),
        (dict(size={}), "size={} must be pixels"),
        (dict(CUT, crop_size={"shortest_edge": 9}), "crop_size=.* must have height and width"),
        (dict(CUT), "crop_size=None must be pixels"),
        (dict(do_resize=False), "do_resize=false without do_center_crop is not supported"),
        (dict(do_pad=True), "do_pad=True is not supported"),
        (dict(size_divisor=32), "size_divisor=32 is not supported"),
        (dict(auto_map={"AutoImageProcessor": "x.Y"}), "auto_map=.* is not supported"),
        (dict(resample=6), "resample=6 is none of Pillow's 0 to 5"),
        (dict(resample="bicubic"), "resample='bicubic' is none of Pillow's"),
        (dict(rescale_factor=0), "rescale_factor=0 must be a number above 0"),
        (dict(rescale_factor="1/255"), "rescale_factor='1/255' must be a number"),
        (dict(image_mean=[0.5, 0.5]), r"image_mean=\[0.5, 0.5\] must be a number, or one for each"),
        (dict(image_mean="0.5"), "image_mean='0.5' must be a number"),
        (dict(image_mean=None), "image_mean=None must be a number"),
        (dict(resample=None), "resample=None is none of Pillow's"),
        (dict(size=None), "size=None must be pixels"),
        (dict(image_std=0), "image_std=0 must not be 0"),
        (dict(image_processor_type="SamImageProcessor"), "'SamImageProcessor' is not known, only "),
    ],
)
def test_what_is_not_done_is_refused_by_name(fields, message):
    with pytest.raises(UserError, match=rf"{preprocessor.NAME}: .*{message}"):
        preprocessor.of_transformers(fields, PATH)


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(size={"height": 16, "width": 16}), "a ConvNextImageProcessor takes shortest_edge"),
        (dict(size=16, crop_pct=0), "crop_pct=0 must be above 0"),
        (dict(size=16, crop_size=12, **CUT), "crop_size=12 behind a cut to 16 is not supported"),
    ],
)
def test_what_a_convnext_processor_does_not_do_is_refused(fields, message):
    with pytest.raises(UserError, match=message):
        preprocessor.of_transformers(fields, PATH, "convnext")


@pytest.mark.parametrize(
    "content, message",
    [('{"size": 2', "is not JSON"), ("[1]", "holds no settings, but a list"), ("", "is not JSON")],
)
def test_a_damaged_file_is_a_line(tmp_path, content, message):
    for name in (preprocessor.NAME, "config.json"):
        (tmp_path / name).write_text(content)
        with pytest.raises(UserError, match=rf"{name} {message}"):
            preprocessor.beside(tmp_path)


def test_a_folder_of_timms_says_what_its_own_file_does(tmp_path):
    assert preprocessor.beside(tmp_path) is None
    given = dict(input_size=[3, 160, 160], interpolation="bicubic", crop_pct=0.9, mean=[0.4] * 3)
    own = {"architecture": "resnet18", "pretrained_cfg": {**given, "std": [0.2, 0.3, 0.4]}}
    write = lambda **fields: (tmp_path / "config.json").write_text(
        json.dumps({**own, "pretrained_cfg": {**own["pretrained_cfg"], **fields}})
    )
    write()
    expected = Preprocess(160, 177, "bicubic", (0.4,) * 3, (0.2, 0.3, 0.4))
    assert preprocessor.beside(tmp_path) == expected
    write(crop_mode="squash", crop_pct=1)
    assert preprocessor.beside(tmp_path) == expected._replace(resize=160, squash=True)
    write(std=None)
    assert preprocessor.beside(tmp_path) is None
    for field, value in dict(crop_mode="border", interpolation="random", crop_pct=0).items():
        write(**{field: value})
        with pytest.raises(UserError, match=rf"config\.json: {field}={value!r}"):
            preprocessor.beside(tmp_path)


def test_what_is_written_for_timm_is_what_is_read():
    for _, _, theirs, published in catalog._published():
        seen = published.preprocess
        config = dict(
            input_size=[3, seen.size, seen.size],
            interpolation=seen.interpolation,
            crop_pct=pretrained.config.crop_share(seen),
            mean=list(seen.mean),
            std=list(seen.std),
        )
        resize = seen.resize or seen.size
        assert preprocessor.of_timm(config, PATH).resize == resize, theirs


def test_an_interpolation_that_jax_lacks_is_refused():
    with pytest.raises(UserError, match="interpolation 'hamming' is Pillow's alone"):
        fitted(jnp.zeros((1, 8, 8, 3)), Preprocess(4, 4, "hamming"))


def test_names_of_classes_are_those_of_the_settings(tmp_path):
    assert pretrained.config.labels(tmp_path) == {}
    (tmp_path / "config.json").write_text('{"id2label": {"0": "ant", "1": 7}}')
    assert pretrained.config.labels(tmp_path) == {0: "ant", 1: "7"}
    for timm in (
        {"label_names": ["ant", "bee"]},
        {"label_names": {"0": "ant", "1": "bee"}},
        {"pretrained_cfg": {"labels": ["ant", "bee"]}},
    ):
        (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18", **timm}))
        assert pretrained.config.labels(tmp_path) == {0: "ant", 1: "bee"}
    for wrong in ('{"a": "ant"}', '["ant"]'):
        (tmp_path / "config.json").write_text(f'{{"id2label": {wrong}}}')
        with pytest.raises(UserError, match="id2label holds no names by number"):
            pretrained.config.labels(tmp_path)


def test_published_names_say_what_transformers_notes_say():
    """Of google/efficientnet-b2 and microsoft/cvt-w24-384-22k."""
    own = {"size": {"height": 260, "width": 260}, "resample": 0, "include_top": True}
    own |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.47853944, 0.4732864, 0.47434163]}
    found = preprocessor.of_transformers(own, PATH, "efficientnet")
    expected = pretrained.preprocess("google/efficientnet-b2")
    np.testing.assert_allclose(found.std, expected.std, rtol=1e-6)
    assert found._replace(std=expected.std) == expected
    cvt = {"size": {"shortest_edge": 384}, "crop_pct": 0.875, "resample": 3}
    cvt |= {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
    assert preprocessor.of_transformers(cvt, PATH, "cvt") == pretrained.preprocess(
        "microsoft/cvt-w24-384-22k"
    )
