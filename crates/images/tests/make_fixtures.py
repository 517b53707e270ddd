"""Images by Pillow and what Pillow makes of them: NAME.png, .jpg, .webp, .bmp or .gif, NAME.rgb and NAME.grey (rows of pixels as
convert("RGB") and convert("L") give them), and resized.* (BILINEAR). Run with Pillow 13 in this folder."""

import random
import struct
from pathlib import Path

from PIL import Image, ImageOps

OUT = Path(__file__).parent / "fixtures"
WIDTH, HEIGHT = 13, 9
random.seed(1)


def smooth(x: int, y: int) -> tuple[int, int, int]:
    return (20 * x) % 256, (28 * y) % 256, (9 * (x + y)) % 256


def new_image(mode: str, pixel) -> Image.Image:
    image = Image.new(mode, (WIDTH, HEIGHT))
    image.putdata([pixel(x, y) for y in range(HEIGHT) for x in range(WIDTH)])
    return image


def keep(name: str, image: Image.Image, **options) -> None:
    path = OUT / name
    image.save(path, **options)
    keep_pixels(path)


def keep_pixels(path: Path) -> None:
    read = Image.open(path)
    if read.mode == "I;16":
        # Pillow cuts off what is above 255; the high byte is what the other readers take.
        read = read.point(lambda value: value / 256).convert("L")
    path.with_suffix(".rgb").write_bytes(read.convert("RGB").tobytes())
    path.with_suffix(".grey").write_bytes(read.convert("RGB").convert("L").tobytes())


noise = lambda *_: tuple(random.randrange(256) for _ in range(3))
rgb = new_image("RGB", noise)
keep("colour.png", rgb)
keep("grey.png", new_image("L", lambda x, y: random.randrange(256)))
keep("alpha.png", new_image("RGBA", lambda x, y: (*noise(), random.randrange(256))))
keep("grey_alpha.png", new_image("LA", lambda x, y: (random.randrange(256), random.randrange(256))))
keep("palette.png", rgb.quantize(16), transparency=3)
keep("one_bit.png", new_image("1", lambda x, y: 255 * ((x + y) % 2)))
keep("sixteen_bits.png", new_image("I;16", lambda x, y: random.randrange(65536)))
soft = new_image("RGB", smooth)
keep("full.jpg", soft, quality=95, subsampling=0)
keep("halved.jpg", soft, quality=80, subsampling=2)
keep("progressive.jpg", soft, quality=90, progressive=True, subsampling=0)
keep("shades.jpg", soft.convert("L"), quality=90)
keep("four_inks.jpg", soft.convert("CMYK"), quality=95)

large = Image.new("RGB", (61, 47))
large.putdata([noise() for _ in range(61 * 47)])
large.save(OUT / "large.png")
for width, height in [(8, 8), (61, 20), (30, 47), (90, 70), (1, 1), (50, 20), (47, 19), (80, 33)]:
    resized = large.resize((width, height), Image.Resampling.BILINEAR)
    (OUT / f"resized_{width}x{height}.rgb").write_bytes(resized.tobytes())

keep("lossless.webp", rgb, lossless=True)
keep("clear.webp", new_image("RGBA", lambda x, y: (*noise(), 1 + random.randrange(255))), lossless=True, exact=True)
keep("lossy.webp", soft, quality=95)
keep("bitmap.bmp", rgb)
keep("dots.bmp", new_image("L", lambda x, y: random.randrange(256)))
keep("sixteen.bmp", rgb.quantize(16))
keep("still.gif", rgb.quantize(16))
keep("frames.gif", rgb.quantize(8), save_all=True, append_images=[soft.quantize(8)], duration=40)

# The stored pixels are the same; the .rgb is what exif_transpose makes of them.
for orientation in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = orientation
    rgb.save(OUT / f"turned_{orientation}.png", exif=exif)
    if orientation == 6:
        rgb.save(OUT / "turned_6.webp", exif=exif, lossless=True)
        soft.save(OUT / "turned_soft.jpg", exif=exif, quality=95, subsampling=0)
        ImageOps.exif_transpose(soft_upright := Image.open(OUT / "turned_soft.jpg"), in_place=True)
        (OUT / "turned_soft.rgb").write_bytes(soft_upright.tobytes())
    upright = ImageOps.exif_transpose(Image.open(OUT / f"turned_{orientation}.png"))
    (OUT / f"turned_{orientation}.rgb").write_bytes(upright.tobytes())


def bitmap(name: str, bits: int, green: int = 0, top_down: bool = False) -> None:
    """A bitmap of few bits, which Pillow reads and does not write: of a palette, or with `green` bits of green in 16."""
    rows = []
    for _ in range(HEIGHT):
        digits = "".join(format(random.randrange(2**bits), f"0{bits}b") for _ in range(WIDTH))
        data = bytes(int(digits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(digits), 8))
        rows.append(data + bytes(-len(data) % 4))
    colours = 0 if green else 2**bits
    palette = bytes(random.randrange(256) * (i % 4 < 3) for i in range(4 * colours))
    if green == 6:
        palette = struct.pack("<III", 0xF800, 0x7E0, 0x1F)
    at, pixels = 54 + len(palette), b"".join(rows)
    height = -HEIGHT if top_down else HEIGHT
    header = struct.pack("<IiiHHIIiiII", 40, WIDTH, height, 1, bits, 3 if green == 6 else 0, len(pixels), 0, 0, colours, 0)
    path = OUT / name
    path.write_bytes(struct.pack("<2sIII", b"BM", at + len(pixels), 0, at) + header + palette + pixels)
    keep_pixels(path)


bitmap("bits_1.bmp", 1)
bitmap("bits_4.bmp", 4)
bitmap("top_down.bmp", 4, top_down=True)
bitmap("bits_555.bmp", 16, green=5)
bitmap("bits_565.bmp", 16, green=6)
keep("black_white.bmp", new_image("1", lambda x, y: 255 * random.randrange(2)))
