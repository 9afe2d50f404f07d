"""Names from untrusted files, made fit for people: no control characters, no direction tricks, no endless lines."""

_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029")


def display_name(name: str, limit: int = 120) -> str:
    r"""``name`` with control, format and bidi characters shown as ``\xNN``/``\uNNNN`` and cut to ``limit`` characters.

    Example:
        >>> display_name("a\x1b[31mb")
        'a\\x1b[31mb'
    """
    head = name if len(name) <= 4 * limit else name[: 4 * limit]
    shown = "".join(c if c.isprintable() and c not in _BIDI else _escape(c) for c in head)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def valid_unicode(text: str) -> str:
    """``text`` with lone surrogates replaced by ``\\udcxx`` escapes, so that it always encodes as UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
