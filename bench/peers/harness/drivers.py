"""The peers: how each driver is built, what runs it, and why it is not there if it is not.

Everything that is fetched or built goes below the work directory: jars by curl from Maven Central, crates by cargo,
libraries and servers by apt-get (only as root, and only what is missing)."""
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
    first: int = 0  # so many queries of each file, where all would take too long; 0: all
    note: str = ""  # what makes its figures differ in kind


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


def debian_version(package):
    return execute(["dpkg-query", "-W", "-f", "${Version}", package])


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
    return Driver([driver], "Xapian " + debian_version("libxapian-dev"))


def prepare_fts5(work):
    need_packages("libsqlite3-dev", "libstemmer-dev")
    driver = build_native(work, "fts5", "gcc", "fts5/driver.c", "-lsqlite3", "-lstemmer")
    return Driver([driver], "SQLite FTS5 " + debian_version("libsqlite3-dev"))


def prepare_groonga(work):
    need_packages("libgroonga-dev", "libstemmer-dev")
    driver = build_native(work, "groonga", "gcc", "groonga/driver.c", "-I/usr/include/groonga", "-lgroonga", "-lstemmer")
    return Driver([driver], "Groonga " + debian_version("libgroonga-dev"))


def prepare_postgresql(work):
    """A server needs a user who is not root: Debian's package makes one."""
    need_packages("postgresql-15", "libpq-dev")
    ask = build_native(work, "postgresql", "gcc", "postgresql/driver.c", "-I/usr/include/postgresql", "-lpq")
    return Driver([os.path.join(HERE, "postgresql/serve"), ask], "PostgreSQL " + debian_version("postgresql-15"))


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


def lucene(work, name, home, jars, options=()):
    """The driver for these jars, with the Version that is theirs: command."""
    version = "8" if "-8." in jars[0] else "10"
    path = ":".join([os.path.join(work, name + ".classes"), *jars])
    sources = [os.path.join(HERE, "lucene", source) for source in ("Driver.java", f"{version}/Version.java")]
    execute([home + "/bin/javac", "-cp", path, "-d", os.path.join(work, name + ".classes"), *sources])
    return [home + "/bin/java", "-Xms2g", "-Xmx2g", "-XX:+UseParallelGC", *options, "-cp", path, "Driver"]


def prepare_lucene(work):
    java, home = newest_jdk()
    version = "10.6.0" if java >= 21 else "9.12.3"
    options = ["--add-modules", "jdk.incubator.vector"] + (["--enable-native-access=ALL-UNNAMED"] if java >= 21 else [])
    command = lucene(work, "lucene-" + version, home, fetch_jars(work, version), options)
    return Driver(command, f"Lucene {version} on Java {java}")


def prepare_lucene8(work):
    """Debian's."""
    need_packages("liblucene8-java")
    java, home = newest_jdk()
    jars = [max(glob.glob(f"/usr/share/java/lucene-{part}-8.*.jar")) for part in ("core", "analyzers-common")]
    version = re.search(r"core-(8[0-9.]*)\.jar", jars[0]).group(1)
    return Driver(lucene(work, "lucene8", home, jars), f"Lucene {version} on Java {java}")


LUCENE = {"warm_passes": 20, "warm_seconds": 20}

PEERS = [
    Peer("lucene", prepare_lucene, {"one": "one", "default": "default"}, **LUCENE),
    Peer("lucene-reordered", prepare_lucene, {"one": "reordered"}, **LUCENE),
    Peer("tantivy", prepare_tantivy, {"one": "one", "default": "default"}),
    Peer("xapian", prepare_xapian, {"one": "one"}),
    Peer("lucene8", prepare_lucene8, {"one": "one"}, **LUCENE),
    Peer("fts5", prepare_fts5, {"one": "one"}, warm_passes=1, first=200),
    Peer("groonga", prepare_groonga, {"one": "one"}, warm_passes=1, note="ranks by how often words occur, not by BM25"),
    Peer("postgresql", prepare_postgresql, {"one": "one"}, warm_passes=1, first=100,
         note="ranks by ts_rank, not by BM25; words and stop words are those of its configuration english; "
              "its times have the way to a server and back in them"),
]
