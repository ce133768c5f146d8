"""A plugin of pytest (`-p tests.interpreted`) under which the modules of the hot path are interpreted, not compiled."""

import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path

ROOT = Path(__file__).parent.parent


def _sources_only(path: str) -> FileFinder:
    if not Path(path).is_relative_to(ROOT) or "site-packages" in path:
        raise ImportError
    return FileFinder(path, (SourceFileLoader, SOURCE_SUFFIXES))


sys.path_hooks.insert(0, _sources_only)
sys.path_importer_cache.clear()
