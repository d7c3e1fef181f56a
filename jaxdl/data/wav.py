"""WAV files: chunks of RIFF with plain numbers (IBM and Microsoft, 1991; extensible ones, 2001).

Unsigned 8 bits; 16, 24 and 32 bits with a sign; floats of 32 and 64; as many channels as there are.
What compresses them (mu-law, ADPCM …) is not read here.
"""

import struct
from typing import BinaryIO, NamedTuple

import numpy as np

_INTEGER, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE
_KINDS = {(_INTEGER, 8): "u1", (_INTEGER, 16): "<i2", (_INTEGER, 24): "u1", (_INTEGER, 32): "<i4",
          (_FLOAT, 32): "<f4", (_FLOAT, 64): "<f8"}  # fmt: skip

# What is in a file behind the code of its numbers, for messages.
_CODES = {2: "ADPCM", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 49: "GSM 6.10", 85: "MP3"}


class OtherFormatError(ValueError):
    """Sound that another reader may know."""


class Header(NamedTuple):
    """What a file says of its sound.

    Attributes:
      rate: samples a second of each channel.
      channels: how many.
      frames: samples of each channel that are there.
      kind: code and bits of a number, a key of _KINDS.
      start: where they begin in the file.
    """

    rate: int
    channels: int
    frames: int
    kind: tuple[int, int]
    start: int


def header(stream: BinaryIO) -> Header:
    """Of a file from its beginning.

    A file that was cut off, or that a program wrote without knowing its end, has the samples that
    are there.

    Raises:
      ValueError: it cannot be; the message says why, as the end of a sentence about the file.
      OtherFormatError: it is no WAV, or has numbers of another kind.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    start = stream.read(12)
    if start[:4] not in (b"RIFF", b"RF64") or start[8:] != b"WAVE":
        raise OtherFormatError("is no WAV")
    found, unknown = None, start[4:8] in (b"\0" * 4, b"\xff" * 4)
    while len(chunk := stream.read(8)) == 8:
        name, length = struct.unpack("<4sI", chunk)
        here = stream.tell()
        if name == b"fmt ":
            found = _format(stream.read(min(length, 40)))
        elif name == b"data":
            if found is None:
                raise ValueError("is a broken WAV: its samples come before their format")
            rate, channels, kind = found
            # A program that wrote to a pipe, or was ended, did not know it; in RF64 it is not here.
            length = min(length or (size if unknown else 0), size - here)
            return Header(rate, channels, length // (channels * kind[1] // 8), kind, here)
        if here + length + (length & 1) > size:
            break
        stream.seek(here + length + (length & 1))
    raise ValueError(f"is a broken WAV: it ends before its {'samples' if found else 'format'}")


def _format(chunk: bytes) -> tuple[int, int, tuple[int, int]]:
    """The rate, the channels and the kind of numbers of a format chunk."""
    if len(chunk) < 16:
        raise ValueError("is a broken WAV: its format is cut off")
    code, channels, rate, _, block, bits = struct.unpack("<HHIIHH", chunk[:16])
    if code == _EXTENSIBLE and len(chunk) >= 26:  # the code begins the subformat's number
        (code,) = struct.unpack("<H", chunk[24:26])
    if not channels:
        raise ValueError("has no channels")
    if not rate:
        raise ValueError("has a rate of 0")
    wide = 8 * block // channels  # of 20 bits in 24 say, which stand on the left
    kind = (code, wide if code == _INTEGER and bits <= wide else bits)
    if kind not in _KINDS or block * 8 != channels * kind[1]:
        called = _CODES.get(code, f"format {code}")
        raise OtherFormatError(f"is a WAV of {called} with {bits} bits, which is not known")
    return rate, channels, kind


def read(stream: BinaryIO, head: Header, first: int, frames: int) -> np.ndarray:
    """(frames, channels) float32: integers in [-1, 1), floats as they are.

    Args:
      stream: the file.
      head: its `header`.
      first: frame that is read, from 0 on.
      frames: at most, from there on.
    """
    frames = max(0, min(frames, head.frames - first))
    code, bits = head.kind
    block = head.channels * bits // 8
    stream.seek(head.start + first * block)
    content = stream.read(frames * block)
    found = np.frombuffer(content, _KINDS[head.kind])
    if bits == 24:  # three bytes on the left of four
        wide = np.zeros((len(found) // 3, 4), np.uint8)
        wide[:, 1:] = found.reshape(-1, 3)
        found, bits = wide.view("<i4")[:, 0], 32
    if bits == 8:
        found = found.astype(np.float32) - 128
    with np.errstate(over="ignore"):  # what float32 cannot hold is told of as no number
        found = found.astype(np.float32)
    scale = 1 if code == _FLOAT else np.float32(2.0 ** -(bits - 1))
    return (found * scale).reshape(-1, head.channels)
