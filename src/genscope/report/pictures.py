"""Pictures in the page: each drawn once per theme and held inside the file."""

import base64
from collections.abc import Sequence

from genscope.errors import UnsupportedInput
from genscope.figures.theme import DARK, LIGHT, Picture, Theme, png_of, svg_of
from genscope.report.sections import Section
from genscope.report.wording import text_of


def pictures_section(pictures: Sequence[Picture], anchor: str, title: str, lead: str = "") -> Section | None:
    """A section that shows ``pictures`` in the reader's theme; without matplotlib it says what to install."""
    if not pictures:
        return None
    try:
        items = [
            {
                "title": text_of(picture.title, 200),
                "alt": text_of(picture.alt, 1000),
                "caption": text_of(picture.caption, 2000),
                "light": _address(picture, LIGHT),
                "dark": _address(picture, DARK),
            }
            for picture in pictures
        ]
    except UnsupportedInput as missing:
        return Section("notes", anchor, title, lead, data={"lines": [str(missing)]})
    return Section("pictures", anchor, title, lead, data={"items": items})


def _address(picture: Picture, theme: Theme) -> str:
    if picture.animation is not None:
        return _data_address("image/gif", picture.animation(theme))
    figure = picture.draw(theme)
    return _data_address("image/svg+xml", svg_of(figure)) if picture.vector else _data_address("image/png", png_of(figure))


def _data_address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
