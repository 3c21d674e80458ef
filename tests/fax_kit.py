"""Faxes as machines and servers make them: one bit a dot, 204 x 98 dots an inch, several pages in one TIFF."""

import io

from PIL import Image, ImageDraw


def tiff(pages: int = 2, *, caller: str = "", seed: int = 0, dots: tuple[int, int] = (204, 98)) -> bytes:
    """`pages` of a TIFF as ITU-T T.4 has them; `caller`: what HylaFAX writes into the description."""
    made = []
    for n in range(pages):
        page = Image.new("1", (1728, 1143), 1)
        ImageDraw.Draw(page).rectangle((100, 100, 900, 100 + 50 * (n + 1)), fill=0)
        ImageDraw.Draw(page).rectangle((seed % 1700, 1000, seed % 1700 + 20, 1050), fill=0)
        made.append(page)
    out = io.BytesIO()
    more = {"description": caller} if caller else {}
    made[0].save(out, "TIFF", save_all=True, append_images=made[1:], compression="group4", dpi=dots, **more)
    return out.getvalue()
