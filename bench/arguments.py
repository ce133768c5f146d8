"""What command lines of the bench have in common."""


def positive(text: str) -> int:
    """Read a whole number above nought; `10_000` and `10,000` too. Raises ValueError, which argparse explains."""
    number = int(text.replace("_", "").replace(",", ""))
    if number < 1:
        raise ValueError(text)
    return number
