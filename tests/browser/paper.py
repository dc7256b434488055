"""A printed page as a camera and a reader have it."""

from functools import cached_property

import pypdfium2
import zxingcpp

POINTS_AN_INCH = 72
MM_AN_INCH = 25.4
SCALE = 3


class Sheet:
    """One page of paper."""

    def __init__(self, page: pypdfium2.PdfPage):
        self.text: str = page.get_textpage().get_text_bounded()
        self._codes = zxingcpp.read_barcodes(page.render(scale=SCALE).to_pil())

    @property
    def qr_codes(self) -> list[str]:
        return [code.text for code in self._codes]

    @property
    def qr_middles_mm(self) -> list[float]:
        """How far the middle of each is from the upper edge."""
        millimetres = MM_AN_INCH / POINTS_AN_INCH / SCALE
        return [
            (code.position.top_left.y + code.position.bottom_right.y) / 2 * millimetres for code in self._codes
        ]


class Paper:
    """What a printer makes of a PDF."""

    def __init__(self, pdf: bytes):
        self._document = pypdfium2.PdfDocument(pdf)

    @cached_property
    def sheets(self) -> list[Sheet]:
        return [Sheet(page) for page in self._document]

    @property
    def height_mm(self) -> float:
        return self._document[0].get_height() * MM_AN_INCH / POINTS_AN_INCH
