"""The peers: how each driver is built, what runs it, and why it is not there if it is not.

Everything that is fetched or built goes below the work directory: jars by curl from Maven Central, crates by cargo,
libraries by apt-get (only as root, and only what is missing)."""
import dataclasses
import glob
import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
MAVEN = "https://repo.maven.apache.org/maven2/org/apache/lucene"


class Missing(Exception):
    """Why a peer cannot be had here."""


@dataclasses.dataclass
class Driver:
    command: list  # "index TSV DIRECTORY SHAPE" and "run DIRECTORY QUERIES" go behind it
    version: str


@dataclasses.dataclass
class Peer:
    name: str
    prepare: object  # work directory -> Driver
    shapes: dict  # what Mayfly's shape is compared with: our shape -> that of the peer
    warm_passes: int = 2
    warm_seconds: float = 0


def execute(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise Missing(f"{os.path.basename(command[0])}: {(done.stderr or done.stdout).strip().splitlines()[-1:] or 'failed'}")
    return done.stdout.strip()


def need_packages(*packages):
    status = ["dpkg-query", "-W", "-f", "${db:Status-Status}"]
    missing = [p for p in packages if "installed" not in subprocess.run(status + [p], capture_output=True, text=True, check=False).stdout.split()]
    if missing and os.geteuid() != 0:
        raise Missing(f"apt-get install {' '.join(missing)}")
    if missing:
        execute(["apt-get", "-qq", "install", "--no-install-recommends", "-y", *missing])


def program(name):
    found = shutil.which(name)
    if not found:
        raise Missing(f"no {name} here")
    return found


# --------------------------------------------------------------------------------------------------------- C and C++


def build_native(work, name, compiler, source, *libraries):
    requests = os.path.join(work, name + ".requests.o")
    output = os.path.join(work, name)
    root = os.path.dirname(HERE)
    execute([program("gcc"), "-O2", "-c", os.path.join(root, "requests.c"), "-o", requests])
    execute([program(compiler), "-O2", os.path.join(HERE, source), requests, "-o", output, *libraries])
    return output


def prepare_xapian(work):
    need_packages("libxapian-dev")
    driver = build_native(work, "xapian", "g++", "xapian/driver.cc", "-lxapian")
    return Driver([driver], "Xapian " + execute(["dpkg-query", "-W", "-f", "${Version}", "libxapian-dev"]))


def prepare_fts5(work):
    need_packages("libsqlite3-dev", "libstemmer-dev")
    driver = build_native(work, "fts5", "gcc", "fts5/driver.c", "-lsqlite3", "-lstemmer")
    return Driver([driver], "SQLite FTS5 " + execute(["dpkg-query", "-W", "-f", "${Version}", "libsqlite3-dev"]))


# ------------------------------------------------------------------------------------------------------------- Tantivy


def prepare_tantivy(work):
    """Built from a copy: cargo writes its lock file beside the manifest."""
    source = os.path.join(work, "tantivy.source")
    shutil.copytree(os.path.join(HERE, "tantivy"), source, dirs_exist_ok=True)
    target = os.path.join(work, "tantivy.target")
    execute([program("cargo"), "build", "--release", "--quiet", "--target-dir", target], cwd=source)
    with open(os.path.join(source, "Cargo.lock"), encoding="utf-8") as lock:
        version = re.search(r'name = "tantivy"\nversion = "([^"]+)"', lock.read()).group(1)
    return Driver([os.path.join(target, "release", "driver")], "Tantivy " + version)


# -------------------------------------------------------------------------------------------------------------- Lucene


def java_version(home):
    try:
        text = subprocess.run([home + "/bin/javac", "-version"], capture_output=True, text=True, check=False).stdout
    except OSError:
        return 0
    found = re.search(r"javac (\d+)", text)
    return int(found.group(1)) if found else 0


def newest_jdk():
    homes = glob.glob("/usr/lib/jvm/*") + [os.environ.get("JAVA_HOME", "")]
    version, home = max((java_version(h), h) for h in homes if h) if any(homes) else (0, "")
    if version < 17:
        raise Missing("no JDK of Java 17 or newer here")
    return version, home


def fetch_jars(work, version):
    jars = []
    for artifact in ("lucene-core", "lucene-analysis-common", "lucene-misc"):
        jar = os.path.join(work, f"{artifact}-{version}.jar")
        if not os.path.exists(jar):
            execute([program("curl"), "-sSf", "--max-time", "120", "-o", jar + ".part",
                     f"{MAVEN}/{artifact}/{version}/{artifact}-{version}.jar"])
            os.rename(jar + ".part", jar)
        jars.append(jar)
    return jars


def prepare_lucene(work):
    java, home = newest_jdk()
    version = "10.6.0" if java >= 21 else "9.12.3"
    classes = os.path.join(work, f"lucene-{version}.classes")
    path = ":".join([classes, *fetch_jars(work, version)])
    execute([home + "/bin/javac", "-cp", path, "-d", classes, os.path.join(HERE, "lucene/Driver.java")])
    options = ["-Xms2g", "-Xmx2g", "-XX:+UseParallelGC", "--add-modules", "jdk.incubator.vector"]
    options += ["--enable-native-access=ALL-UNNAMED"] if java >= 21 else []
    return Driver([home + "/bin/java", *options, "-cp", path, "Driver"], f"Lucene {version} on Java {java}")


PEERS = [
    Peer("lucene", prepare_lucene, {"one": "one", "default": "default"}, warm_passes=20, warm_seconds=20),
    Peer("lucene-reordered", prepare_lucene, {"one": "reordered"}, warm_passes=20, warm_seconds=20),
    Peer("tantivy", prepare_tantivy, {"one": "one", "default": "default"}),
    Peer("xapian", prepare_xapian, {"one": "one"}),
    Peer("fts5", prepare_fts5, {"one": "one"}, warm_passes=1),
]
