"""The same fold in engines of the JVM: Kafka Streams and Flink, each in a process of its own, built from bench/java.

Maven compiles the sources and fetches the engines into .cache/bench once; what the engines were given is in
bench/java/README.md.
"""

import hashlib
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import msgspec

from bench.contender import Measurement, Task
from bench.totals import Differs, Totals
from schemas.rules import Rules
from schemas.topics import TOPICS
from tests.kafka import jars

HERE: Final = Path(__file__).resolve().parent
SOURCES: Final = HERE / "java"
CACHE: Final = HERE.parent / ".cache" / "bench"
BUILD_S: Final = 600
HEAP: Final = ("-Xms1g", "-Xmx4g")
_PACKAGE: Final = "afterword.bench"
_NAMED: Final = {
    "kafka-streams": ("streams", "KafkaStreamsContender"),
    "kafka-streams-eos": ("streams", "KafkaStreamsContender"),
    "flink-heap": ("flink", "FlinkContender"),
    "flink-rocksdb": ("flink", "FlinkContender"),
}
"""By the task's name: the module of bench/java, and its class."""


class CannotBuild(Exception):  # noqa: N818  (it says what happened)
    """The contenders could not be built: why, for the person who could change that."""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What a contender's process says of itself, as bench/java's Meter has it. Seconds, CPU of all threads."""

    seconds: float
    seconds_second_half: float
    cpu_whole: float
    cpu_after_start: float
    cpu_second_half: float
    cpu_busiest_thread: float
    peak_rss_mib: float
    counted: dict[str, int]
    notes: dict[str, float]

    def measurement(self, known: Totals) -> Measurement:
        """Give what was measured. Raises Differs when what was counted is not what is known."""
        known.check(self.counted)
        return Measurement(
            events=self.counted["events"],
            seconds=self.seconds,
            cpu_whole=self.cpu_whole,
            cpu_after_start=self.cpu_after_start,
            cpu_main_thread=self.cpu_busiest_thread,
            # Where the system has no file that says it: of all children, and this one was the largest.
            peak_rss_mib=self.peak_rss_mib or resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / (1 << 20),
            counted=self.counted,
            notes=self.notes,
            seconds_second_half=self.seconds_second_half,
            cpu_second_half=self.cpu_second_half,
        )


def main() -> int:
    """Be the process of a contender. Gives 1, after words, when it cannot be built, fails, or its totals are wrong."""
    task = msgspec.json.decode(sys.argv[1], type=Task)
    if task.profile:
        print(f"{task.name} runs in a JVM: cProfile does not see into it", file=sys.stderr)
        return 1
    try:
        output = ran(task, built())
        measured = msgspec.json.decode(output.splitlines()[-1], type=Said).measurement(task.known)
    except CannotBuild as failure:
        print(failure, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as failure:
        print(f"{task.name}: java ended with {failure.returncode}", file=sys.stderr)
        return 1
    except Differs as difference:
        print(f"{task.name} counted wrong: {difference}", file=sys.stderr)
        return 1
    print(msgspec.json.encode(measured).decode(), flush=True)
    return 0


def ran(task: Task, folder: Path) -> bytes:
    """Run the contender from the folder of what was built; gives its standard output.

    It ends when its standard input does, so that it does not outlive this process, even if that is killed.
    Raises CalledProcessError.
    """
    module, name = _NAMED[task.name]
    places = [folder / "fold" / "target" / "classes", folder / module / "target" / "classes"]
    classes = ":".join(map(str, [*places, folder / module / "target" / "libs" / "*"]))
    options = [*HEAP, "-XX:+UseG1GC", "-XX:+ExitOnOutOfMemoryError", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"]
    command = ["java", *options, "-cp", classes, f"{_PACKAGE}.{name}", told(task)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as java:
        assert java.stdout is not None
        output = java.stdout.read()
        code = java.wait()
    if code:
        raise subprocess.CalledProcessError(code, "java")
    return output


def told(task: Task) -> str:
    """Write what the contender is told, as bench/java's Task has it."""
    rules = Rules.load(None).default
    phrases = [phrase for language in rules.could_not_help.values() for phrase in language]
    order = {
        "name": task.name,
        "address": task.address,
        "group": task.group,
        "folder": task.folder,
        "topics": [topic.name for topic in TOPICS],
        "events": task.known.events,
        "rules": {"threshold": rules.fallback_threshold, "intents": rules.fallback_intents, "phrases": phrases},
    }
    return msgspec.json.encode(order).decode()


def why_unavailable() -> str:
    """Why the contenders cannot run here, for the person who could change that; '' when they can."""
    lacks = jars.why_unavailable()
    if lacks or _place().is_dir():
        return lacks
    if shutil.which("mvn") is None:
        return "there is no mvn to build them with"
    return "" if shutil.which("javac") else "there is no javac to build them with: it takes a JDK, not only a JRE"


def built() -> Path:
    """The folder of the compiled contenders and their engines, after building it when it is not there.

    Safe beside other benches: one builds and the others wait, and the folder appears whole. Raises CannotBuild.
    """
    if lacks := why_unavailable():
        raise CannotBuild(f"the contenders in bench/java cannot run: {lacks}")
    return jars.appearing_whole(_place(), _copied_and_built)


def _copied_and_built(folder: Path) -> None:
    for source in sources(SOURCES):
        target = folder / source.relative_to(SOURCES)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    build(folder)


def build(folder: Path) -> None:
    """Have Maven compile the sources in a folder and put what they need beside them, its checksums verified.

    Raises CannotBuild with Maven's own words.
    """
    print("    building the contenders in bench/java", file=sys.stderr, flush=True)
    libraries = [
        "-DincludeScope=runtime",
        f"-DexcludeGroupIds={_PACKAGE}",
        "-DoutputDirectory=${project.build.directory}/libs",
    ]
    command = ["mvn", "-q", "-B", "-C", "-Dstyle.color=never", "compile", "dependency:copy-dependencies", *libraries]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=BUILD_S)
    except subprocess.TimeoutExpired as slow:
        raise CannotBuild(f"the contenders in bench/java were not built after {BUILD_S} s") from slow
    if done.returncode:
        raise CannotBuild(
            f"Maven could not build the contenders in bench/java:\n{(done.stdout + done.stderr).strip()[:2000]}"
        )


def _place() -> Path:
    """Where these sources are once they are built."""
    return CACHE / "java" / key(SOURCES)


def key(folder: Path) -> str:
    """Name the sources in a folder by what is in them: other sources, another key."""
    digest = hashlib.sha256()
    for source in sources(folder):
        content = source.read_bytes()
        digest.update(f"{source.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def sources(folder: Path) -> list[Path]:
    """Give the files that the build is made of, without what an editor may have built among them."""
    files = [*folder.rglob("pom.xml"), *folder.rglob("*.java")]
    return sorted(file for file in files if "target" not in file.relative_to(folder).parts)


if __name__ == "__main__":
    sys.exit(main())
