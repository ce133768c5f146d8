"""The machine: what it is, how busy it is, and what processes cost on it. Where /proc is not, less is known."""

import os
import platform
import re
import resource
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench import guests
from tests.kafka import jars

PACKAGES: Final = (
    "aiokafka",
    "faust-streaming",
    "msgspec",
    "xxhash",
    "pyarrow",
    "clickhouse-connect",
    "chdb",
)
_MIB: Final = 1024 * 1024
_PROC: Final = Path("/proc")


def described() -> dict[str, str]:
    """Say what the figures were measured on and with."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1024 * _MIB)
    return {
        "processor": f"{_processor()}, {cores()} cores to use",
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "kafka": f"Apache Kafka {jars.version()} on Java {_java()}",
        "packages": _listed({name: version(name) for name in PACKAGES}),
        "guests": _listed(guests.versions()),
    }


def cores() -> int:
    """Give the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def load() -> float:
    """Give the load average of the last minute."""
    return os.getloadavg()[0]


def peak_rss_mib() -> float:
    """Give the most memory that this process had so far.

    Not from getrusage where it can be avoided: on Linux that begins with what the parent had at the fork.
    """
    status = _PROC / "self" / "status"
    if status.exists():
        found = re.search(r"^VmHWM:\s+(\d+) kB", status.read_text(), re.MULTILINE)
        assert found, f"{status} does not tell the peak"
        return int(found[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MIB


def cpu_of(pid: int) -> float | None:
    """Give the CPU seconds that a running process took so far; None where that is not known."""
    stat = _PROC / str(pid) / "stat"
    if not stat.exists():
        return None
    user, system = stat.read_text().rpartition(")")[2].split()[11:13]  # the name before may hold spaces
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def cpu_of_own() -> float:
    """Give the CPU seconds that this process and its ended children took so far."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def cpu_of_all() -> float | None:
    """Give the CPU seconds that everything on the machine took so far, and its host from it; None where not known."""
    stat = _PROC / "stat"
    if not stat.exists():
        return None
    user, nice, system, _idle, _waiting, hard, soft, stolen = map(int, stat.read_text().split(None, 9)[1:9])
    return (user + nice + system + hard + soft + stolen) / os.sysconf("SC_CLK_TCK")


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in versions.items()) or "not there"


def _processor() -> str:
    described = _PROC / "cpuinfo"
    found = re.search(r"^model name\s*:\s*(.+)$", described.read_text(), re.MULTILINE) if described.exists() else None
    return found[1] if found else platform.processor() or "unknown processor"


def _java() -> str:
    java = shutil.which("java")
    assert java is not None, jars.why_unavailable()
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True, timeout=60).stderr
    found = re.search(r'version "([^"]+)"', said)
    return found[1] if found else "?"
