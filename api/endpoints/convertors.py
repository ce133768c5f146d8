"""How a path is read where it holds an id, which may be any text."""

from typing import Final

from starlette.convertors import StringConvertor, register_url_convertor


class TextConvertor(StringConvertor):
    """All that is left of the path, slashes and line breaks too.

    Starlette's own `path` loses a line break at the end, and so would name another conversation.
    """

    regex = "(?s:.*)"


TEXT: Final = "text"
register_url_convertor(TEXT, TextConvertor())
