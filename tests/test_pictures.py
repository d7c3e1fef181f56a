"""What pictures in files are read as: their pixels, which way up, and what breaks a reader."""

import struct

import numpy as np
import pytest
from etils import epath
from PIL import Image

from jaxdl.data.pictures import SUFFIXES
from jaxdl.data.preprocess import Preprocess, image
from jaxdl.errors import UserError

SIDE = 16
AS_IT_IS = Preprocess(SIDE, 0)
# All levels of a byte, in no order that a mistake would keep.
LEVELS = np.random.default_rng(0).permutation(256).astype(np.uint8).reshape(SIDE, SIDE)
# And numbers of 16 bits around each of them, within what rounding takes to it.
WIDE = LEVELS.astype(np.uint16) * 257
WIDE[::2] = np.clip(WIDE[::2].astype(int) + 128, 0, 65535)
WIDE[1::2] = np.clip(WIDE[1::2].astype(int) - 128, 0, 65535)


def read(file, channels=1):
    return image(epath.Path(file), AS_IT_IS, channels)[..., 0]


def tiff(array, bits=16, white_is_zero=False, kind=1, order="<"):
    """The bytes of a plain grey TIFF; ``kind`` 1 is unsigned, 2 signed, 3 floating."""
    if bits == 12:
        pairs = array.reshape(-1, 2).astype(int)
        packed = [(a >> 4, (a & 15) << 4 | b >> 8, b & 255) for a, b in pairs.tolist()]
        pixels = np.array(packed, np.uint8).tobytes()
    else:
        pixels = array.astype(array.dtype.newbyteorder(order)).tobytes()
    h, w = array.shape
    fields = {256: w, 257: h, 258: bits, 259: 1, 262: int(not white_is_zero), 273: 8, 277: 1}
    fields |= {278: h, 279: len(pixels), 339: kind}
    long = lambda tag, value: struct.pack(f"{order}HHII", tag, 4, 1, value)
    listed = struct.pack(f"{order}H", len(fields)) + b"".join(long(*f) for f in fields.items())
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, 8 + len(pixels))
    return head + pixels + listed + bytes(4)


def pgm(array, most):
    """The bytes of a PGM whose white is ``most``."""
    size = 2 if most > 255 else 1
    return b"P5 16 16 %d\n" % most + array.astype(f">u{size}").tobytes()


def png(array):
    return lambda file: Image.fromarray(array).save(file, "PNG")


WHITE_IS = lambda white: LEVELS / 255 * white
PIXELS = {
    "8 bits": ("x.png", png(LEVELS)),
    "16 bits, png": ("x.png", png(LEVELS.astype(np.uint16) * 257)),
    "16 bits, rounded": ("x.png", png(WIDE)),
    "16 bits, pgm": ("x.pgm", pgm(WIDE, 65535)),
    "16 bits, tiff": ("x.tif", tiff(WIDE)),
    "16 bits, tiff, big-endian": ("x.tif", tiff(WIDE, order=">")),
    "16 bits, tiff, 0 is white": ("x.tif", tiff(65535 - WIDE, white_is_zero=True)),
    "12 bits, tiff": ("x.tif", tiff(np.rint(WHITE_IS(4095)).astype(np.uint16), bits=12)),
    "10 bits, pgm": ("x.pgm", pgm(np.rint(WHITE_IS(1023)), 1023)),
    "floats": ("x.tif", tiff(WHITE_IS(1).astype(np.float32), bits=32, kind=3)),
    "floats, 0 is white": (
        "x.tif",
        tiff(1 - WHITE_IS(1).astype(np.float32), bits=32, kind=3, white_is_zero=True),
    ),
}  # fmt: skip


def written(folder, name, content):
    file = folder / name
    content(file) if callable(content) else file.write_bytes(content)
    return epath.Path(file)


@pytest.mark.parametrize("case", PIXELS)
@pytest.mark.parametrize("channels", [1, 3])
def test_numbers_mean_what_their_file_says(case, channels, tmp_path):
    file = written(tmp_path, *PIXELS[case])
    np.testing.assert_array_equal(read(file, channels), LEVELS)


UNKNOWN = {
    "32 bits": (tiff(WIDE.astype(np.uint32) * 65537 // 2, bits=32), "its whole numbers go from"),
    "32 bits, small": (tiff(LEVELS.astype(np.int32), bits=32, kind=2), "from 0 to 255"),
    "signed 16 bits": (tiff(WIDE.astype(np.int16), kind=2), "save it with 8 or 16 unsigned bits"),
    "bytes as floats": (
        tiff(LEVELS.astype(np.float32), bits=32, kind=3),
        "its floats go from 0 to 255: save it with them in [0, 1]",
    ),
    "below 0": (tiff(LEVELS.astype(np.float32) / 255 - 1, bits=32, kind=3), "from -1 to 0"),
    "no number": (tiff(np.full((16, 16), np.nan, np.float32), bits=32, kind=3), "from nan to nan"),
}


@pytest.mark.parametrize("case", UNKNOWN)
def test_numbers_without_a_white_are_refused_by_name(case, tmp_path):
    content, words = UNKNOWN[case]
    file = written(tmp_path, "x.tif", content)
    with pytest.raises(UserError) as caught:
        read(file)
    assert str(caught.value).startswith(f"{file}: its ")
    assert words in str(caught.value)


# How the pixels of a picture lie that is to be seen as it is: EXIF 2.3, table of tag 0x0112.
TURNED = {
    1: lambda x: x, 2: lambda x: x[:, ::-1], 3: lambda x: x[::-1, ::-1], 4: lambda x: x[::-1],
    5: lambda x: x.T, 6: lambda x: np.rot90(x), 7: lambda x: x[::-1, ::-1].T,
    8: lambda x: np.rot90(x, -1),
}  # fmt: skip
SHORT, ASCII = 3, 2


def exif(*fields):
    """A camera's notes: (tag, type, four bytes or a number)."""
    listed = b"".join(
        struct.pack("<HHI", tag, kind, 1) + (value if isinstance(value, bytes)
                                             else struct.pack("<I", value))
        for tag, kind, value in sorted(fields)
    )  # fmt: skip
    head = b"Exif\0\0II" + struct.pack("<HI", 42, 8)
    return head + struct.pack("<H", len(fields)) + listed + bytes(4)


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("wide", [False, True])
def test_a_picture_is_seen_as_the_camera_was_held(orientation, wide, tmp_path):
    pixels = np.ascontiguousarray(TURNED[orientation](WIDE if wide else LEVELS))
    notes = exif((0x0112, SHORT, orientation))
    Image.fromarray(pixels).save(tmp_path / "x.png", exif=notes)
    np.testing.assert_array_equal(read(tmp_path / "x.png"), LEVELS)
    Image.fromarray(pixels).save(tmp_path / "x.tif", tiffinfo={0x0112: orientation})
    np.testing.assert_array_equal(read(tmp_path / "x.tif"), LEVELS)


ODD = {
    # What a camera of that name calls itself, the moment, and whose it is, as numbers.
    "a number for a text": ((0x010F, SHORT, 5), (0x0132, SHORT, 7), (0x8298, 4, 9)),
    "a text for a number": ((0x0100, ASCII, b"16\0\0"), (0x0128, ASCII, b"in\0\0")),
    "an unknown type": ((0x010F, 99, 5),),
    "a place outside": ((0x8769, 4, 2**31),),
}


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("case", ODD)
@pytest.mark.filterwarnings("ignore")  # Pillow's, of what it passes over
def test_fields_of_any_type_beside_the_orientation_are_no_matter(suffix, case, tmp_path):
    pixels = np.kron(LEVELS[:2, :2], np.ones((8, 8), np.uint8))
    bare, noted = tmp_path / f"bare{suffix}", tmp_path / f"noted{suffix}"
    quality = {"lossless": True} if suffix == ".webp" else {}
    Image.fromarray(pixels).save(bare, **quality)
    Image.fromarray(pixels).save(noted, exif=exif((0x0112, SHORT, 6), *ODD[case]), **quality)
    np.testing.assert_array_equal(read(noted), np.rot90(read(bare), -1))


@pytest.mark.filterwarnings("ignore")
def test_broken_notes_are_no_notes(tmp_path):
    picture = Image.fromarray(LEVELS)
    for notes in (b"Exif\0\0", b"Exif\0\0no notes", exif((0x0112, SHORT, 6))[:20], b"\xff" * 50):
        picture.save(tmp_path / "x.png", exif=notes)
        np.testing.assert_array_equal(read(tmp_path / "x.png"), LEVELS)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.filterwarnings("ignore")
def test_each_ending_is_read_and_what_breaks_its_reader_is_a_line(suffix, tmp_path):
    file = tmp_path / f"x{suffix.upper()}"
    colours = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    picture = Image.fromarray(colours)
    if suffix == ".pbm":
        picture = picture.convert("1")
    elif suffix == ".pgm":
        picture = picture.convert("L")
    picture.save(file)
    with Image.open(file) as independent:
        expected = np.asarray(independent.convert("RGB"))
    np.testing.assert_array_equal(image(epath.Path(file), AS_IT_IS), expected)
    whole = file.read_bytes()
    draws = np.random.default_rng(2)
    broken = [whole[:cut] for cut in draws.integers(0, len(whole), 6)]
    for start in draws.integers(0, min(len(whole), 400), 12):
        broken.append(whole[:start] + draws.bytes(4) + whole[start + 4 :])
    told = []
    for content in broken:
        file.write_bytes(content)
        try:
            image(epath.Path(file), AS_IT_IS)
        except UserError as error:  # and nothing else
            told.append(str(error))
    assert told
    for line in told:
        assert line.startswith(str(file))
        assert "\n" not in line
        assert not line.endswith(": ")


def test_errors_of_any_kind_are_a_line(tmp_path, monkeypatch):
    file = written(tmp_path, "x.png", png(LEVELS))

    class Odd(Exception):
        """Such as a plug-in may bring."""

    for error, words in (
        (Odd("two\nlines"), "two lines"),
        (MemoryError(), "MemoryError"),
        (AttributeError("no 'x'"), "no 'x'"),
        (RecursionError("too deep"), "too deep"),
    ):

        def load(self, error=error):
            raise error

        monkeypatch.setattr(Image.Image, "load", load)
        monkeypatch.setattr("PIL.ImageFile.ImageFile.load", load)
        with pytest.raises(UserError) as caught:
            read(file)
        assert str(caught.value) == f"{file} is a broken image: {words}"


@pytest.mark.parametrize(
    "content, words",
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer: 'git lfs pull' gets"),
        (b"<!DOCTYPE html>", "a web page or a server's message: download the file"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC, AVIF or a video, whatever its ending"),
    ],
)
def test_what_stands_in_a_pictures_place_is_told_from_damage(content, words, tmp_path):
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(UserError, match=rf"x\.jpg is .*{words}"):
        read(tmp_path / "x.jpg")


def test_what_is_not_there_or_is_a_folder_is_a_line(tmp_path):
    (tmp_path / "x.png").mkdir()
    for name in ("x.png", "gone.png"):
        with pytest.raises(UserError, match=rf"{name} is a broken image: (Is a dir|No such file)"):
            read(tmp_path / name)
