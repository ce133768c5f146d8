"""Apache Kafka's jars: what this machine lacks to have them, and the fetching of them with Maven into a cache."""

import fcntl
import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache" / "kafka"
POM = HERE / "pom.xml"
JAVA = 17
FETCH_S = 240


class FetchError(Exception):
    """Maven could not bring the jars: its own words."""


def version() -> str:
    """The version of Apache Kafka that is fetched, as pom.xml has it."""
    found = re.search(r"<artifactId>kafka_2\.13</artifactId>\s*<version>([^<]+)</version>", POM.read_text())
    assert found, f"{POM} names no version of Kafka"
    return found[1]


@cache
def why_unavailable() -> str:
    """Why Apache Kafka cannot run here, for the person who could change that; '' when it can."""
    java = shutil.which("java")
    if java is None:
        return f"there is no java, and {JAVA} or newer is needed"
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=60).stderr.strip()
    major = re.search(r'version "(\d+)', said)
    if major is None or int(major[1]) < JAVA:
        return f"Java {JAVA} or newer is needed, and {java} is {said.partition(chr(10))[0] or 'silent'}"
    if not place().is_dir() and shutil.which("mvn") is None:
        return "there is no mvn to fetch the jars with"
    return ""


def place() -> Path:
    """Where the jars of this pom.xml are once they are all there."""
    return CACHE / hashlib.sha256(POM.read_bytes()).hexdigest()[:16]


def fetched() -> Path:
    """The folder of the jars, after fetching them when they are not there.

    Safe beside other sessions: one fetches and the others wait, and the folder appears whole. Raises FetchError.
    """
    return appearing_whole(place(), fetch)


def appearing_whole(folder: Path, make: Callable[[Path], None]) -> Path:
    """Give a folder, after making it when it is not there; `make` is given the place where it is made.

    One session makes it and the others wait, and what was begun and never ended is begun anew.
    """
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            arriving = folder.parent / "arriving"
            shutil.rmtree(arriving, ignore_errors=True)
            make(arriving)
            arriving.rename(folder)
    return folder


def fetch(target: Path) -> None:
    """Have Maven copy all jars of pom.xml into `target`, their checksums verified."""
    goal = ["dependency:copy-dependencies", f"-DoutputDirectory={target}"]
    command = ["mvn", "-q", "-B", "-C", "-Dstyle.color=never", "-f", str(POM), *goal]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FETCH_S)
    except subprocess.TimeoutExpired as slow:
        raise FetchError(f"mvn was not done after {FETCH_S} s") from slow
    if done.returncode != 0:
        raise FetchError((done.stdout + done.stderr).strip()[-2000:])
