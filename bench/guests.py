"""The environment of the contenders whose packages do not belong beside the product: `.venv-bench`, by `make bench`."""

from importlib.metadata import distributions
from pathlib import Path
from typing import Final

PLACE: Final = Path(__file__).resolve().parent.parent / ".venv-bench"
PYTHON: Final = PLACE / "bin" / "python"
PACKAGES: Final = ("quixstreams", "bytewax", "confluent-kafka", "msgspec")


def why_unavailable(package: str) -> str:
    """Why a contender that is made with this package cannot run here; '' when it can."""
    if not PYTHON.exists():
        return f"there is no {PLACE.name}, which `make bench` makes"
    if package not in versions():
        return f"{package} is not in {PLACE.name}: it has no wheel for its Python"
    return ""


def versions() -> dict[str, str]:
    """Give the versions of what the contenders are made with, as far as it is there."""
    places = [str(place) for place in PLACE.glob("lib/python*/site-packages")]
    found = {its.metadata["Name"]: its.version for its in distributions(path=places)}
    return {name: found[name] for name in PACKAGES if name in found}
