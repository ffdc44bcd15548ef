"""What a server may leave behind: looked for from outside, in /proc, in its data directory, in LMDB's lock files."""
import collections
import fcntl
import os
import pathlib
import re
import subprocess

SLOTS = pathlib.Path(os.environ.get("MAYFLY_BIN", "build/dev/bin")) / "reader-slots"
FILES = re.compile(r"LOCK|catalog\.mdb(-lock)?|log/\d+\.log"
                   r"|indexes/\d+/\d+/\d+/(core\.mdb(-lock)?|seg-\d+\.mdb)")


def read_stat(pid):
    """(state, parent) or None if it is gone."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    state, parent = text.rsplit(")", 1)[1].split()[:2]
    return state, int(parent)


def program(pid):
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).removesuffix(" (deleted)")
    except OSError:
        return ""


def descriptors(pid):
    """Counter of what the descriptors are: "memfd:...", "socket", "anon_inode:[pidfd]", "core.mdb", ...

    None of a process that is ending: to all but root its descriptors are closed to view before they are closed."""
    kinds = collections.Counter()
    directory = f"/proc/{pid}/fd"
    try:
        listed = os.listdir(directory)
    except OSError:
        return kinds
    for fd in listed:
        try:
            target = os.readlink(f"{directory}/{fd}")
        except OSError:
            continue
        if target.startswith("/memfd:"):
            kinds[target[1:].removesuffix(" (deleted)")] += 1
        elif target.startswith("/"):
            kinds["deleted file" if target.endswith(" (deleted)") else os.path.basename(target)] += 1
        else:
            kinds[re.sub(r":\[\d+\]", "", target)] += 1
    return kinds


def role(pid, coordinator):
    name = program(pid)
    if name == "mayfly-worker":
        stat = read_stat(pid)
        return "nursery" if stat and stat[1] == coordinator else "worker"
    return {"mayflyd": "coordinator", "mayfly-shard": "shard"}.get(name, name)


def family(server):
    """role -> pids of the coordinator and all its descendants."""
    found = collections.defaultdict(list)
    for pid in [server.process.pid] + server.children():
        found[role(pid, server.process.pid)].append(pid)
    return found


def strays(server):
    """Our processes that work in the data directory and do not descend from the coordinator."""
    known = {server.process.pid, *server.children()}
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) in known:
            continue
        try:
            cwd = os.readlink(entry / "cwd")
        except OSError:
            continue
        if cwd == str(server.data.resolve()) and program(int(entry.name)).startswith("mayfly"):
            found.append(f"{program(int(entry.name))} pid {entry.name}")
    return found


def zombies(server):
    stats = ((pid, read_stat(pid)) for pid in server.children())
    return [pid for pid, stat in stats if stat and stat[0] == "Z"]


def table(server):
    """role -> sorted list of (kind, count) per process, without files that differ from moment to moment."""
    result = {}
    for name, pids in family(server).items():
        counts = []
        for pid in pids:
            kinds = descriptors(pid)
            steady = {k: n for k, n in kinds.items() if k.startswith(("memfd:", "socket", "anon_inode", "pipe", "deleted"))}
            counts.append(sorted(steady.items()))
        result[name] = sorted(counts)
    return result


def reader_slots(path):
    """Pids in the reader table; none where an edition whose grace is over went meanwhile."""
    ended = subprocess.run([str(SLOTS), str(path)], capture_output=True, text=True)
    if ended.returncode and not path.exists():
        return []
    ended.check_returncode()
    return [int(pid) for pid in ended.stdout.split()]


def stale_slots(server, index):
    alive = {server.process.pid, *server.children()}
    found = []
    for core in server.data.glob(f"indexes/{index}/*/*/core.mdb"):
        slots = reader_slots(core)
        found += [f"{core.relative_to(server.data)}: slot of pid {pid}" for pid in slots if pid not in alive]
        found += [f"{core.relative_to(server.data)}: {n} slots of pid {pid}"
                  for pid, n in collections.Counter(slots).items() if n > 1]
    return found


def unknown_files(server):
    """os.walk passes over a dropped index that is being removed meanwhile."""
    paths = (os.path.relpath(os.path.join(folder, name), server.data)
             for folder, _, names in os.walk(server.data) for name in names)
    return [path for path in paths if not FILES.fullmatch(path)]


def editions(server, index):
    """Of its settings: the newest one, and those that go when their grace is over."""
    return sorted(int(p.name) for p in server.data.glob(f"indexes/{index}/*"))


def segment_files(server, index):
    """Of its newest edition."""
    return len(list(server.data.glob(f"indexes/{index}/{editions(server, index)[-1]}/*/seg-*.mdb")))


def index_directories(server):
    return sorted(p.name for p in server.data.glob("indexes/*"))


def groups(server, stats):
    """Control groups of workers: none, if no worker runs."""
    if not stats.worker_groups:
        return []
    data = os.stat(server.data)
    return [p.name for p in pathlib.Path(stats.worker_groups).glob(f"mayfly-{data.st_dev:x}-{data.st_ino:x}-*")]


def lock_is_free(server):
    with open(server.data / "LOCK", "rb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True
