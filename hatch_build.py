"""The modules of the hot path, compiled as C where a compiler and Python's headers are; without, they are interpreted.

A module is compiled when a file of types (.pxd) stands beside it. What it means does not change, only what it costs.
`python hatch_build.py` does it in place and says what came of it; building a wheel does it too.
"""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_ROOT = Path(__file__).parent
_BUILD = ".cache/compiled"
_NOT_COMPILED = 3
"""Exit status: no fault, and worth trying again when there is a compiler."""
_DIRECTIVES = {"language_level": 3, "annotation_typing": False, "binding": True, "embedsignature": False}


def sources() -> list[Path]:
    """Name the modules that have types beside them."""
    return sorted(one.with_suffix(".py") for one in (_ROOT / "processors").glob("*.pxd"))


def compile_in_place() -> str:
    """Compile what is older than its sources; gives why that is not possible, '' when it is done."""
    from Cython.Build import cythonize  # noqa: PLC0415  (both are there when something is built only)
    from setuptools import Distribution, Extension  # noqa: PLC0415
    from setuptools.errors import CCompilerError, ExecError, PlatformError  # noqa: PLC0415

    names = [f"{one.parent.name}.{one.stem}" for one in sources()]
    extensions = [
        Extension(name, [str(one.relative_to(_ROOT))], extra_compile_args=["-O2", "-fno-strict-aliasing"])
        for name, one in zip(names, sources(), strict=True)
    ]
    modules = cythonize(extensions, build_dir=_BUILD, compiler_directives=_DIRECTIVES, quiet=True)
    command = Distribution({"ext_modules": modules}).get_command_obj("build_ext")
    command.inplace = True
    command.build_temp = f"{_BUILD}/objects"
    try:
        command.ensure_finalized()
        command.run()
    except (CCompilerError, ExecError, PlatformError) as error:
        for name in names:  # half of it would be as good as none, and old ones must not stay
            for made in _ROOT.glob(name.replace(".", "/") + ".*.so"):
                made.unlink()
        return str(error)
    return ""


class Compile(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles before a wheel is packed, which then belongs to this platform and Python."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and have what came of it packed."""
        if version == "editable":
            return  # `make` does it, whenever a source has changed
        if why_not := compile_in_place():
            self.app.display_warning(f"not compiled, so it will be slower: {why_not}")
            return
        build_data |= {"pure_python": False, "infer_tag": True}
        build_data["artifacts"].append("processors/*.so")


if __name__ == "__main__":
    if why_not := compile_in_place():
        sys.stderr.write(f"not compiled, so slower (a C compiler and Python's headers would do it): {why_not}\n")
        sys.exit(_NOT_COMPILED)
