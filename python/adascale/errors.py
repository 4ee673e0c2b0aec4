"""The package's one exception."""

import reprlib


class Error(RuntimeError):
    """The caller's fault, or a bug of ours, named as such; one line: where, what, got, expected, cure.

    C++ errors arrive as this class too. A misspelt keyword is a plain ``TypeError``.
    """


def first_line(error: BaseException) -> str:
    """The first line of an exception's text, with its class where the text says little without it."""
    text = str(error).strip().split("\n", 1)[0].rstrip(" .:")
    if isinstance(error, RuntimeError) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def shown_path(path: object) -> str:
    """A path from a file, for a message: one line, however it is named."""
    longest = 300
    text = str(path)
    text = text if len(text) <= longest else f"{text[:longest]}..."
    return text if text.isprintable() else repr(text)


def shown(value: object) -> str:
    """A value from a file, for a message: the beginning of its repr, which is one line at any depth."""
    longest = 80
    text = reprlib.repr(value)
    return text if len(text) <= longest else f"{text[:longest]}..."
