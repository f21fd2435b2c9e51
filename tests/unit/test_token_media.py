"""Tokens of media: the size in an image's header, and the providers' formulas."""

from __future__ import annotations

import base64
import struct
import zlib

import pytest

from palaver.model import AudioPart, FilePart, ImagePart, user
from palaver.tokens import MEDIA_TOKENS, estimate_tokens
from palaver.tokens.headers import image_size, wave_rate


def b64(data: bytes) -> str:
    """Base64 text."""
    return base64.b64encode(data).decode()


def png(width: int, height: int, rest: bytes = b"") -> bytes:
    """The beginning of a PNG image."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + rest


def jpeg(width: int, height: int, *, before: bytes = b"", marker: int = 0xC0) -> bytes:
    """The beginning of a JPEG image, with segments before the frame."""
    frame = struct.pack(">HBHHB", 17, 8, height, width, 3) + bytes(9)
    return b"\xff\xd8" + before + bytes((0xFF, marker)) + frame + b"\xff\xda" + bytes(50)


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG image."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def webp(kind: bytes, content: bytes) -> bytes:
    """The beginning of a WebP image."""
    return b"RIFF" + struct.pack("<I", len(content) + 12) + b"WEBP" + kind + struct.pack("<I", len(content)) + content


def wave(rate: int, seconds: int) -> bytes:
    """A silent WAV recording of 8-bit samples."""
    head = b"RIFF" + struct.pack("<I", 36) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, rate, 1, 8)
    return head + b"data" + struct.pack("<I", rate * seconds) + bytes(rate * seconds)


EXIF = segment(0xE1, b"Exif\0\0" + bytes(40_001))


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (png(640, 480), (640, 480)),
        (png(70_000, 3, b"rest"), (70_000, 3)),
        (b"GIF89a" + struct.pack("<HH", 320, 200) + bytes(9), (320, 200)),
        (b"GIF87a" + struct.pack("<HH", 1, 2), (1, 2)),
        (jpeg(1024, 768), (1024, 768)),
        (jpeg(800, 600, marker=0xC2), (800, 600)),
        (jpeg(1024, 768, before=EXIF + segment(0xC4, bytes(30)) + segment(0xDB, bytes(65))), (1024, 768)),
        (jpeg(10, 20, before=b"\xff\xff" + segment(0xFE, b"a comment")[1:]), (10, 20)),
        (webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 550 | 0x4000, 368)), (550, 368)),
        (webp(b"VP8L", b"\x2f" + struct.pack("<I", 399 | 300 << 14) + bytes(8)), (400, 301)),
        (webp(b"VP8X", bytes(4) + (1999).to_bytes(3, "little") + (999).to_bytes(3, "little")), (2000, 1000)),
        (b"", None),
        (b"\x89PNG\r\n\x1a\n", None),
        (png(0, 5), None),
        (b"GIF89a", None),
        (b"\xff\xd8\xff", None),
        (b"\xff\xd8" + bytes(100), None),
        (b"\xff\xd8" + segment(0xE1, b"cut off")[:-3], None),
        (webp(b"VP8 ", bytes(10)), None),
        (webp(b"WHAT", bytes(20)), None),
        (b"BM" + bytes(60), None),
        (b"%PDF-1.7" + bytes(60), None),
    ],
)
def test_the_size_is_read_off_the_header(data: bytes, size: tuple[int, int] | None) -> None:
    """PNG, JPEG, GIF and WebP say their size in their first bytes; what says none has none."""
    assert image_size(b64(data)) == size


@pytest.mark.parametrize("data", ["not base64!", "====", "é" * 50, "iVBO", "/9j/", "\n" * 50])
def test_what_is_not_base64_has_no_size(data: str) -> None:
    """Whatever stands there, nothing is raised."""
    assert image_size(data) is None
    assert wave_rate(data) is None
    assert estimate_tokens(user(ImagePart(data=data))) == 4 + MEDIA_TOKENS


def test_a_chain_of_segments_ends() -> None:
    """An image that is made of nothing but segments is given up."""
    assert image_size(b64(b"\xff\xd8" + segment(0xE0, b"x") * 100_000)) is None


@pytest.mark.parametrize(
    ("wire", "size", "tokens"),
    [
        ("openai_chat", (1024, 1024), 765),  # the examples of OpenAI's page
        ("openai_responses", (2048, 4096), 1105),
        ("openai_chat", (512, 512), 255),
        ("openai_chat", (10_000, 10), 85 + 4 * 170),
        ("anthropic", (200, 200), 54),  # the examples of Anthropic's page
        ("anthropic", (1000, 1000), 1334),
        ("anthropic", (1092, 1092), 1590),
        ("anthropic", (8000, 8000), 1600),
        ("bedrock", (200, 200), 54),
        ("google", (384, 384), 258),
        ("google", (385, 100), 258),
        ("google", (1920, 1080), 6 * 258),
        (None, (1000, 1000), 1334),
    ],
)
def test_an_image_costs_what_its_provider_publishes(wire: str | None, size: tuple[int, int], tokens: int) -> None:
    """By its size, and by whose wire the message is from."""
    part = ImagePart(media_type="image/png", data=b64(png(*size)))
    assert estimate_tokens(user(part, wire=wire)) == 4 + tokens
    link = ImagePart(url="data:image/png;base64," + b64(png(*size)))
    assert estimate_tokens(user(link, wire=wire)) == 4 + tokens


def test_an_image_at_low_detail_costs_little() -> None:
    """OpenAI's flat price for it, whether its size is known or not."""
    part = ImagePart(url="https://images.test/1.png", extra='{"detail": "low"}')
    assert estimate_tokens(user(part, wire="openai_chat")) == 4 + 85
    assert estimate_tokens(user(part, wire="anthropic")) == 4 + MEDIA_TOKENS


@pytest.mark.parametrize(
    "part",
    [
        ImagePart(url="https://images.test/1.png"),
        ImagePart(file_id="file-1"),
        ImagePart(blob="0" * 64 + "-300000"),
        ImagePart(url="data:image/svg+xml,<svg/>"),
        AudioPart(file_id="file-1"),
        AudioPart(blob="no address"),
        FilePart(url="https://files.test/1.pdf", media_type="application/pdf"),
        FilePart(data=b64(b"PK" + bytes(5000)), media_type="application/zip"),
    ],
)
def test_media_of_which_nothing_is_known_has_a_flat_size(part: ImagePart | AudioPart | FilePart) -> None:
    """A link, a provider's file, content out of line, a kind that nobody publishes a rule for."""
    assert estimate_tokens(user(part)) == 4 + MEDIA_TOKENS


@pytest.mark.parametrize(
    ("part", "wire", "tokens"),
    [
        (AudioPart(data=b64(wave(8000, 6)), media_type="audio/wav"), "google", 193),
        (AudioPart(data=b64(wave(8000, 6)), media_type="audio/wav"), "openai_chat", 61),
        (AudioPart(blob="0" * 64 + "-160000", media_type="audio/mpeg"), "openai_chat", 100),
        (AudioPart(data=b64(bytes(96_000)), media_type="audio/pcm"), "openai_chat", 20),
        (FilePart(data=b64(b"some text" * 100), media_type="text/plain"), None, 225),
        (FilePart(blob="0" * 64 + "-120000", media_type="application/pdf"), "google", 3 * 258),
        (FilePart(blob="0" * 64 + "-120000", media_type="application/pdf"), "anthropic", 6000),
        (FilePart(blob="0" * 64 + "-500000", media_type="video/mp4"), "google", 526),
    ],
)
def test_recordings_and_files_are_sized_by_their_bytes(
    part: AudioPart | FilePart, wire: str | None, tokens: int
) -> None:
    """Seconds and pages are guessed; where a recording says how many bytes a second has, they are known."""
    assert estimate_tokens(user(part, wire=wire)) == 4 + tokens
