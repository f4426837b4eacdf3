"""What the bytes of an image file tell before and beside its pixels: format, number of frames, missing pieces."""

from typing import Any

SUPPORTED = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WebP")
_STRIPS, _TILES = (273, 279), (324, 325)  # where each piece of a TIFF begins, how many bytes it has
STARTS = {
    "PNG": (b"\x89PNG\r\n\x1a\n",),
    "JPEG": (b"\xff\xd8\xff",),
    "GIF": (b"GIF87a", b"GIF89a"),
    "TIFF": (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    "EPS (PostScript)": (b"%!PS", b"\xc5\xd0\xd3\xc6"),
    "PSD": (b"8BPS",),
    "JPEG 2000": (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51"),
    "JPEG XL": (b"\0\0\0\x0cJXL ", b"\xff\x0a"),
    "ICO": (b"\0\0\1\0",),
}
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")


def format_of(data: bytes) -> str | None:
    """The name of the format by its first bytes; None for what is no image."""
    for kind, starts in STARTS.items():
        if data.startswith(starts):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WebP"
    if data[:2] == b"BM" and b"\0" in data[2:18]:  # no text has a NUL there
        return "BMP"
    if data[4:8] == b"ftyp":
        brands = data[8:64]
        return "AVIF" if b"avi" in brands else "HEIC" if brands.startswith(_HEIC_BRANDS) else "MP4"
    if b"%PDF-" in data[:1024]:
        return "PDF"
    text = data[:4096].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<svg", b"<?xml", b"<!--", b"<!doctype")) and b"<svg" in text:
        return "SVG"
    return None


def count_frames(image: Any, data: bytes) -> str:
    """The number of frames as text; counting them in a hostile file could take minutes, so it stops at some point."""
    if image.format == "TIFF":
        pages = 1
        try:
            while pages < 1000:
                image.seek(pages)
                pages += 1
        except EOFError:
            pass
        image.seek(0)
        return str(pages) if pages < 1000 else "1000 or more"
    if image.format == "GIF" and len(data) > 4 * 2**20:
        return "several"
    return str(image.n_frames)


def lacks_pieces(image: Any, data: bytes) -> bool:
    """Whether a strip or tile of a TIFF lies beyond the end of the file; libtiff may leave such a one black."""
    tags = image.tag_v2
    return any(
        offset + length > len(data)
        for offsets, lengths in (_STRIPS, _TILES)
        for offset, length in zip(tags.get(offsets, ()), tags.get(lengths, ()), strict=False)
    )
