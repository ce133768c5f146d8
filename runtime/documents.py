"""Pages made from registries and code, so that they cannot drift: the settings, the metrics, the HTTP interface.

`python -m runtime.documents` writes them into docs/; with `--check` it only says which of them are not up to date.
"""

import json
from importlib.metadata import version
from pathlib import Path

from api.application import described
from processors.measures import MEASURES, Measure
from runtime.metrics import BUCKETS, name_of
from runtime.settings import PREFIX, Settings, allowed, example, size_of, variable
from schemas.documents import FOLDER, run

_MADE = "<!-- made by `python -m runtime.documents`; change the registry, not this page -->"


def settings_page() -> str:
    """Write docs/settings.md: every setting."""
    lines = [
        "# Settings",
        "",
        _MADE,
        "",
        f"Settings are environment variables; no file is read. An empty one counts as absent, and one under {PREFIX}",
        "that is not in this table is an error. Where a command has an option for the same thing, the option counts.",
        "",
        "| variable | default | may be | meaning | example |",
        "| --- | --- | --- | --- | --- |",
        *(
            f"| `{variable(name)}` | {_default(name)} | {allowed(name)} | {field.description} | `{example(name)}` |"
            for name, field in Settings.model_fields.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def _default(name: str) -> str:
    default = Settings.model_fields[name].default
    if default is None:
        return ""
    if name == "cache_bytes":
        return f"`{size_of(default)}`"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def metrics_page() -> str:
    """Write docs/metrics.md: every metric, and what to do about it."""
    lines = [
        "# Metrics",
        "",
        _MADE,
        "",
        "Every process serves them for Prometheus under `/metrics`, at the host and port of its",
        "[settings](settings.md). Beside them stand `process_*` (CPU, memory, files, start; on Linux) and",
        "`python_info`. A histogram `x` is the series `x_bucket`, `x_sum` and `x_count`.",
        "",
        "| metric | kind | labels | meaning | what to do |",
        "| --- | --- | --- | --- | --- |",
        *(_metric(measure) for measure in MEASURES),
        "",
        "Bounds of the buckets, in seconds:",
        "",
        *(f"- `{name_of(measure)}`: {', '.join(f'{bound:g}' for bound in BUCKETS[measure])}" for measure in BUCKETS),
    ]
    return "\n".join(lines) + "\n"


def _metric(measure: Measure) -> str:
    labels = ", ".join(f"`{label}`" for label in measure.labels)
    return f"| `{name_of(measure)}` | {measure.kind} | {labels} | {measure.meaning} | {measure.remedy} |"


def openapi() -> str:
    """Write docs/openapi.json: the HTTP interface, as `/v1/openapi.json` serves it."""
    return json.dumps(described(version("afterword")).openapi(), indent=2, ensure_ascii=False) + "\n"


def documents() -> dict[str, str]:
    """Give every page by its path within docs/."""
    return {"settings.md": settings_page(), "metrics.md": metrics_page(), "openapi.json": openapi()}


def outdated(folder: Path = FOLDER) -> list[str]:
    """Name the pages that are missing or other than they should be."""
    return sorted(
        path
        for path, text in documents().items()
        if not (folder / path).is_file() or (folder / path).read_text(encoding="utf-8") != text
    )


def write(folder: Path = FOLDER) -> None:
    """Write the pages that are not up to date."""
    for path in outdated(folder):
        (folder / path).write_text(documents()[path], encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Write the pages, or check them."""
    run("runtime.documents", __doc__, write, outdated, arguments)


if __name__ == "__main__":
    main()
