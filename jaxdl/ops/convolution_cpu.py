"""Convolution and its transposes for a CPU, each in the form that is fastest for its sizes.

XLA turns the gradients of a convolution into fast ones only in a program's entry computation: in
the body of a scan, or of any loop, its own take 20 to 60 times longer (jax issue 12868). All forms
here are written so that they have nothing to be turned into.
"""

import functools
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jaxdl.ops import depthwise, direct, winograd
from jaxdl.ops.forms import is_open
from jaxdl.ops.geometry import Geometry, spread
from jaxdl.ops.wide import wide_dtype

_UNPADDED = ((0, 0), (0, 0))

# Channels on both sides from which Winograd's transforms cost less than its products save: a
# convolution of 16 to 32 channels takes .5 to .8 of the time, on maps from 8 to 128 px a side, and
# so does the image's gradient. The kernel's own, which transforms twice as much, takes 1.5 times as
# long with 24 channels, and half as long with 48.
WINOGRAD_CHANNELS = 16
WINOGRAD_KERNEL_CHANNELS = 48
# And of kernels of 4x4, and of 2x2 on cells of 2x2 pixels.
WINOGRAD_CHANNELS_OF_4 = 64

# And tiles of a batch, over which the kernel's own transform is shared. Of fewer, as one or two
# images of 7 px have, a forward pass is .6 (512 channels) to .95 (160) times as fast.
WINOGRAD_TILES = 16

# And tiles times channels in and out: what is less than this takes longer to compile than it saves.
WINOGRAD_PRODUCTS = WINOGRAD_TILES * 64**2

# Products for each number that comes out up to which the image is moved to each place of the window
# in turn, all in one loop, where the library's convolution lays out every window first: of 3x3 from
# 1 to 16 channels at 128 px that takes a tenth of the time, from 3 to 16 at 32 px a quarter, from 3
# to 64 .7 to .95. Of 5x5, on jax 0.10.2, it takes longer.
FEW_PRODUCTS = 27
FEW_PLACES = 16

# Windows of a batch, for each channel that comes out, up to which one product of all of them is
# faster than the library's convolution, which rearranges a kernel that is then larger than they
# are: 4x4 at stride 2 from 4x4x512 for 16 images takes a third of the time, its transpose too; and
# up to which so is the kernel's gradient.
FEW_WINDOWS, FEW_FOR_KERNEL = 1, 1 / 4


def _in_float32(f: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """``f`` in float32 if its operands are narrower, and its result rounded once.

    XLA widens bf16 on a CPU too, but not for Winograd: a bf16 step of a ResNet-18 is twice as fast.
    """

    @functools.wraps(f)
    def wide(a, b, geometry):
        dtype = wide_dtype(a.dtype)
        return f(a.astype(dtype), b.astype(dtype), geometry).astype(a.dtype)

    return wide


@_in_float32
def apply(x: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """As `jaxdl.ops.convolution.apply`."""
    if _is_depthwise(geometry, kernel.shape):
        return depthwise.conv(x, kernel, geometry)
    if _is_product(geometry):
        return _product(x, kernel, geometry)
    if _is_winograd(geometry, kernel.shape, x, geometry.out):
        return winograd.conv(x, kernel, geometry.padding)
    if _has_few(geometry, x.shape[0], kernel.shape[-1], FEW_WINDOWS):
        return _product(x, kernel, geometry)
    if _is_of_few(geometry, kernel.shape):
        padded = lax.pad(x, jnp.zeros((), x.dtype), spread(geometry.padding))
        return _shifted(padded, kernel, geometry)
    if _is_of_cells(geometry, kernel.shape, x):
        return winograd.conv(_cells(x, geometry), _of_cells(kernel), _UNPADDED)
    return direct.conv(x, kernel, geometry)


@_in_float32
def image_gradient(g: jax.Array, kernel: jax.Array, geometry: Geometry) -> jax.Array:
    """As `jaxdl.ops.convolution.image_gradient`."""
    if _is_depthwise(geometry, kernel.shape):
        return depthwise.image_gradient(g, kernel, geometry)
    turned = _transposed(kernel, geometry.groups)
    if _is_winograd(geometry, turned.shape, g, geometry.image):
        return winograd.conv(g, turned, geometry.transposed_padding)
    if _is_product(geometry) or _has_few(geometry, g.shape[0], g.shape[-1], FEW_WINDOWS):
        x = jax.ShapeDtypeStruct((g.shape[0], *geometry.image, kernel.shape[2]), g.dtype)
        return jax.linear_transpose(lambda x: _product(x, kernel, geometry), x)(g)[0]
    if _is_of_cells(geometry, kernel.shape, g):
        back = winograd.conv(g, _transposed(_of_cells(kernel), 1), ((1, 1), (1, 1)))
        x = jax.ShapeDtypeStruct((g.shape[0], *geometry.image, kernel.shape[2]), g.dtype)
        return jax.linear_transpose(lambda x: _cells(x, geometry), x)(back)[0]
    if _is_phased(geometry):
        return _phased(g, kernel, geometry)
    if _is_of_few(geometry, turned.shape):
        sides = spread(geometry.transposed_padding, geometry.stride)
        padded = lax.pad(g, jnp.zeros((), g.dtype), sides)
        return _shifted(padded, turned, geometry._replace(stride=1))
    return lax.conv_general_dilated(
        g,
        turned,
        (1, 1),
        geometry.transposed_padding,
        lhs_dilation=(geometry.stride,) * 2,
        rhs_dilation=(geometry.dilation,) * 2,
        dimension_numbers=direct.NHWC,
        feature_group_count=geometry.groups,
    )


@_in_float32
def kernel_gradient(x: jax.Array, g: jax.Array, geometry: Geometry) -> jax.Array:
    """As `jaxdl.ops.convolution.kernel_gradient`."""
    kernel = (*geometry.window, x.shape[-1] // geometry.groups, g.shape[-1])
    if _is_depthwise(geometry, kernel):
        return depthwise.kernel_gradient(x, g, geometry)
    if _is_winograd(geometry, kernel, g, geometry.out, WINOGRAD_KERNEL_CHANNELS):
        return winograd.kernel_gradient(x, g, geometry.padding, kernel[0])
    if _is_of_cells(geometry, kernel, g):
        return _of_pixels(winograd.kernel_gradient(_cells(x, geometry), g, _UNPADDED, 2))
    if _is_product(geometry) or _has_few(geometry, g.shape[0], g.shape[-1], FEW_FOR_KERNEL):
        kernel = jax.ShapeDtypeStruct(kernel, g.dtype)
        return jax.linear_transpose(lambda kernel: _product(x, kernel, geometry), kernel)(g)[0]
    if _is_thin(geometry, kernel):
        return _laid_out(x, g, geometry)
    return _exchanged(x, g, geometry) if geometry.groups == 1 else _gathered(x, g, geometry)


def _is_depthwise(geometry: Geometry, kernel: Sequence[int]) -> bool:
    return geometry.groups > 1 and (kernel[2], kernel[3]) == (1, geometry.groups)


def _is_product(geometry: Geometry) -> bool:
    """Whether windows neither overlap nor reach over an edge: a product of rows of pixels."""
    k, s = geometry.window, geometry.stride
    tiled = k == (s, s) and geometry.dilation == 1 and all(n % s == 0 for n in geometry.image)
    plain = geometry.groups == 1 and geometry.padding == ((0, 0), (0, 0))
    return plain and (k == (1, 1) or tiled)


def _has_few(geometry: Geometry, images: int, F: int, share: float) -> bool:
    """Whether ``images`` have at most ``share`` windows for each of F channels, or one each.

    (Of one window an image XLA makes a convolution with its axes exchanged, which it then runs as
    plain loops, 20 to 30 times as long as the product.) A size that is open may be of many.
    """
    if geometry.groups > 1:
        return False
    windows = geometry.out[0] * geometry.out[1]
    return not is_open(images, windows) and (windows == 1 or images * windows <= share * F)


def _is_thin(geometry: Geometry, kernel: Sequence[int]) -> bool:
    """Whether all taps of the channels that come out are no more than the channels that go in."""
    k_h, k_w, C, F = kernel
    return geometry.stride == geometry.dilation == geometry.groups == 1 and k_h * k_w * F <= C


def _is_of_few(geometry: Geometry, kernel: Sequence[int]) -> bool:
    """Whether so few channels go in, and so few places are seen, that shifted images are summed."""
    places = np.prod(geometry.window)
    return geometry.groups == 1 and places <= FEW_PLACES and places * kernel[2] <= FEW_PRODUCTS


def _is_phased(geometry: Geometry) -> bool:
    """Whether pixels fall into stride x stride kinds, each reached by as many taps of its own.

    (Where some have more taps than others, as 3x3 at stride 2, a ResNet-18 gains nothing by it.)
    """
    s = geometry.stride
    plain = s > 1 and geometry.groups == geometry.dilation == 1
    return plain and all(n % s == 0 for n in (*geometry.window, *geometry.image))


def _is_of_cells(geometry: Geometry, kernel: Sequence[int], images: jax.Array) -> bool:
    """Whether windows are two by two cells of two by two pixels, and Winograd pays on those.

    Of the kernel's gradient it saves less, a fifth to a third.
    """
    sizes = zip(geometry.image, geometry.padding, strict=True)
    plain = geometry.stride == 2 and geometry.dilation == geometry.groups == 1
    return (
        plain
        and geometry.window == (4, 4)
        and all((size + sum(sides)) % 2 == 0 for size, sides in sizes)
        and min(kernel[2:]) >= WINOGRAD_CHANNELS_OF_4
        and images.dtype == jnp.float32
        and winograd.pays(images.shape[0], geometry.out, 2, WINOGRAD_TILES)
    )


def _is_winograd(
    geometry: Geometry,
    kernel: Sequence[int],
    images: jax.Array,
    out: Sequence[int],
    channels: int = WINOGRAD_CHANNELS,
) -> bool:
    """Whether Winograd applies and pays, for ``out`` pixels; its rounding is for float32 only."""
    plain = geometry.stride == geometry.dilation == geometry.groups == 1
    tiles = max(WINOGRAD_TILES, -(-WINOGRAD_PRODUCTS // (kernel[2] * kernel[3])))
    side = geometry.window[0]
    return (
        plain
        and geometry.window in ((3, 3), (4, 4))
        and min(kernel[2:]) >= (channels if side == 3 else WINOGRAD_CHANNELS_OF_4)
        and images.dtype == jnp.float32
        and winograd.pays(images.shape[0], out, side, tiles)
    )


def _product(x, kernel, geometry):
    """Windows as rows, one product; so are both gradients, by transposition."""
    F = kernel.shape[-1]
    rows = _windows(x, geometry).reshape(-1, kernel.size // F)
    return (rows @ kernel.reshape(-1, F)).reshape(x.shape[0], *geometry.out, F)


def _shifted(padded, kernel, geometry):
    """The sum over channels, each of an image that is moved to every place of the window."""
    return sum(
        depthwise.shifted_sum(padded[..., c : c + 1], kernel[:, :, c : c + 1], geometry)
        for c in range(kernel.shape[2])
    )


def _windows(x, geometry):
    """All that the kernel is laid on: (B, h, w, k_h, …)."""
    B, H, W, C = x.shape
    k, s, d = geometry.window, geometry.stride, geometry.dilation
    if _is_product(geometry):
        s_h, s_w = k
        tiles = lambda: x.reshape(B, H // s_h, s_h, W // s_w, s_w, C).transpose(0, 1, 3, 2, 4, 5)
        return x[:, ::s, ::s] if k == (1, 1) else tiles()
    x = lax.pad(x, jnp.zeros((), x.dtype), spread(geometry.padding))

    def along(x, axis):
        last = s * (geometry.out[axis - 1] - 1) + 1
        starts = [d * i for i in range(k[axis - 1])]
        return [lax.slice_in_dim(x, i, i + last, s, axis) for i in starts]

    # Along rows first: what is copied then has k_w channels' length in a piece.
    return jnp.stack(along(jnp.concatenate(along(x, 2), -1), 1), 3)


def _cells(x, geometry):
    """The image, with its zeros around, as cells of 2 x 2 pixels: (B, h + 1, w + 1, 4 C)."""
    x = lax.pad(x, jnp.zeros((), x.dtype), spread(geometry.padding))
    B, H, W, C = x.shape
    x = x.reshape(B, H // 2, 2, W // 2, 2, C).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(B, H // 2, W // 2, 4 * C)


def _of_cells(kernel):
    """The kernel (4, 4, C, F) of pixels as that of cells, (2, 2, 4 C, F)."""
    return _exchanged_taps(kernel).reshape(2, 2, -1, kernel.shape[-1])


def _of_pixels(kernel):
    """The inverse of `_of_cells`, which is its transpose."""
    return _exchanged_taps(kernel).reshape(4, 4, -1, kernel.shape[-1])


def _exchanged_taps(kernel):
    """Rows of cells, of pixels in them, columns so: the middle two exchanged, either way."""
    F = kernel.shape[-1]
    return kernel.reshape(2, 2, 2, 2, -1, F).transpose(0, 2, 1, 3, 4, 5)


def _transposed(kernel, groups):
    """Turned by half, channels in and out exchanged within each group."""
    k_h, k_w, C, F = kernel.shape
    kernel = kernel[::-1, ::-1].reshape(k_h, k_w, C, groups, F // groups)
    return kernel.transpose(0, 1, 4, 3, 2).reshape(k_h, k_w, F // groups, groups * C)


def _phased(g, kernel, geometry):
    """The image's gradient as a small convolution for each kind of pixel, laid into one another.

    No product with the zeros that would be put between g's pixels: at 4x4 and stride 2 with 128
    and 64 channels 9 times faster, an update of a DCGAN on 8x8 images 7 times.
    """
    s = geometry.stride

    def taps(phase, before, k, size, out):
        """The taps that reach pixels phase, phase + s, …, and the padding of g for them."""
        first = (phase + before) % s
        last = (phase + before) // s  # the place in g under the first tap, for the first pixel
        count = len(range(first, k, s))
        return slice(first, k, s), (count - 1 - last, size // s + last - out)

    def row(direction):
        sizes = geometry.padding[direction][0], geometry.window[direction]
        ends = geometry.image[direction], geometry.out[direction]
        return [taps(phase, *sizes, *ends) for phase in range(s)]

    def part(down, across):
        own = kernel[down[0], across[0]][::-1, ::-1].transpose(0, 1, 3, 2)
        return lax.conv_general_dilated(
            g, own, (1, 1), (down[1], across[1]), dimension_numbers=direct.NHWC
        )

    # (B, H / s, s, W / s, s, C)
    rows = [jnp.stack([part(down, across) for across in row(1)], 3) for down in row(0)]
    return jnp.stack(rows, 2).reshape(g.shape[0], *geometry.image, kernel.shape[2])


def _exchanged(x, g, geometry):
    """The kernel's gradient as a convolution of x with g, channels and batch exchanged."""
    s, d = geometry.stride, geometry.dilation
    padding = [
        (before, reach + s * (out - 1) - size - before)
        for size, (before, _), reach, out in zip(
            geometry.image, geometry.padding, geometry.reach, geometry.out, strict=True
        )
    ]
    kernel = lax.conv_general_dilated(
        x.transpose(3, 1, 2, 0),
        g.transpose(1, 2, 0, 3),
        (d, d),
        padding,
        rhs_dilation=(s, s),
        dimension_numbers=direct.NHWC,
    )
    return kernel.transpose(1, 2, 0, 3)


def _laid_out(x, g, geometry):
    """The kernel's gradient at stride 1 as one product of g, laid out for each tap, with x.

    What is copied has g's channels alone: of 64 to 3 channels at 96 px it is 9 times faster than
    `_exchanged`.
    """
    (k_h, k_w), (H, W) = geometry.window, geometry.image
    g = g.transpose(3, 0, 1, 2)
    g = lax.pad(g, jnp.zeros((), g.dtype), [(0, 0, 0), *spread(geometry.transposed_padding)[:-1]])
    # The last tap meets the first place: (taps, F, B, H, W), and the kernel turned by half.
    taps = jnp.stack([g[:, :, i : i + H, j : j + W] for i, j in np.ndindex(k_h, k_w)])
    kernel = lax.dot_general(taps, x, (((2, 3, 4), (0, 1, 2)), ((), ())))
    return kernel.reshape(k_h, k_w, *kernel.shape[1:])[::-1, ::-1].transpose(0, 1, 3, 2)


def _gathered(x, g, geometry):
    """The kernel's gradient with groups: all windows side by side, one product for each group."""
    s, d, groups, F = geometry.stride, geometry.dilation, geometry.groups, g.shape[-1]
    h, w = geometry.out
    x = lax.pad(x, jnp.zeros((), x.dtype), spread(geometry.padding))
    B, _, _, C = x.shape
    end = lambda place, count: d * place + s * (count - 1) + 1
    windows = [
        lax.slice(x, (0, d * i, d * j, 0), (B, end(i, h), end(j, w), C), (1, s, s, 1))
        for i, j in np.ndindex(*geometry.window)
    ]
    windows = jnp.stack(windows, 3).reshape(B, h, w, -1, groups, C // groups)
    g = g.reshape(B, h, w, groups, F // groups)
    # k: places of the window, n: groups.
    kernel = jnp.einsum("bhwknc,bhwnf->kcnf", windows, g)
    return kernel.reshape(*geometry.window, C // groups, F)
