"""Chromium for the tests: where it is, how it is started, and how `make test` installs it where it is missing.

`python -m tests.browser.chromium` installs Debian's package where it may, and else says why the tests are skipped.
"""

import os
import re
import shutil
import subprocess
import sys
from functools import cache

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
INSTALL_S = 900

QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-domain-reliability",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""A browser that asks nobody but this machine, whatever a page says."""


@cache
def why_unavailable() -> str:
    """Why no Chromium can run here, for the person who could change that; '' when one can."""
    return _found()[1]


def executable() -> str:
    """Where the Chromium is that can run here."""
    return _found()[0]


@cache
def version() -> str:
    """Its version, '' without one."""
    path = _found()[0]
    number = re.search(r"\d+(\.\d+)+", _said(path)) if path else None
    return number[0] if number else ""


def arguments() -> list[str]:
    """How it is started: as root, as in containers, it runs only without its own sandbox."""
    return [*QUIET, *(["--no-sandbox"] if os.geteuid() == 0 else [])]


@cache
def _found() -> tuple[str, str]:
    """The first that can run, and otherwise why none can."""
    reason = "there is no chromium on the path; as root, where apt-get is, `make test` installs it"
    for path in filter(None, map(shutil.which, NAMES)):
        if re.search(r"\d+\.\d+", _said(path)):
            return path, ""
        reason = f"{path} does not run"  # Ubuntu's package only asks for a snap
    return "", reason


@cache
def _said(path: str) -> str:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""


def _install() -> None:
    """Install Debian's package, in words of apt-get's own when it cannot."""
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
        subprocess.run(
            ["apt-get", *command],
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            check=True,
            timeout=INSTALL_S,
        )


def main() -> int:
    """Install it where it is missing and that can be done; a machine without it still runs all other tests."""
    if not why_unavailable():
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        try:
            _install()
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as failure:
            sys.stderr.write(f"Chromium could not be installed, so the browser tests are skipped: {failure}\n")
    else:
        sys.stderr.write(f"The browser tests are skipped: {why_unavailable()}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
