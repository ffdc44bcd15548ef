"""What keeps shards flat, and the figures by which an operator sees it."""
import ctypes
import json
import mmap
import os
import pathlib
import re
import signal

import mayfly
import mayfly_pb2 as pb
import pytest
from conftest import await_figures, built_with_allocators, make_one_file, note, reach_all_readers

KIB, MIB = 1 << 10, 1 << 20
METRICS = pathlib.Path(__file__).with_name("metrics.txt")


def status(pid, key):
    """A number of /proc/PID/status; bytes where it is of memory. None where this kernel does not tell it."""
    found = re.search(rf"^{key}:\s+(\d+)( kB)?$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.M)
    return int(found[1]) * (KIB if found[2] else 1) if found else None


def of_role(stats, role):
    return [process for process in stats.processes if process.role == role]


@pytest.fixture
def films(server):
    with server.client() as m:
        m.add("films", ({"id": n, "text": f"bridge over water{n % 977} " + "x" * 400} for n in range(20000)), wait="searchable")
        for _ in range(8):
            assert m.search("films", "bridge").hits
        yield m


def test_huge_pages_are_off_in_shards_only(films):
    stats = films.stats()
    assert {status(p.pid, "THP_enabled") for p in of_role(stats, "shard")} <= {0, None}
    others = of_role(stats, "coordinator") + of_role(stats, "nursery")
    assert {status(p.pid, "THP_enabled") for p in others} <= {1, None}


@pytest.mark.skipif(not built_with_allocators(), reason="malloc is the sanitizer's")
def test_the_heap_of_a_shard_is_tuned_and_told(films):
    for shard in of_role(reach_all_readers(films, "films", "bridge"), "shard"):
        heap = shard.heap
        assert b"TCMALLOC_RELEASE_RATE=10" in pathlib.Path(f"/proc/{shard.pid}/environ").read_bytes().split(b"\0")
        assert heap.limit == 512 * MIB
        free = heap.page_free + heap.central_free + heap.transfer_free + heap.thread_free
        assert heap.allocated + free + heap.page_unmapped == heap.size
        assert heap.page_free <= MIB and heap.thread_free <= 2 * MIB
        assert 0 < shard.indexes_heap < heap.allocated
    coordinator, = of_role(films.stats(), "coordinator")
    assert 0 < coordinator.heap.allocated <= coordinator.heap.size


def test_a_query_that_took_much_leaves_little(films):
    words = " ".join(f"water{n}" for n in range(500))
    reach_all_readers(films, "films", "bridge")
    before = {p.pid: status(p.pid, "RssAnon") for p in of_role(films.stats(), "shard")}
    for _ in range(4):
        films.search("films", words, match="any", limit=10000)
    shards = of_role(films.stats(), "shard")
    assert max(p.arena.high_water for p in shards) > MIB
    for p in shards:
        assert p.arena.committed <= 2 * 256 * KIB
        assert p.arena.discards > 0 or p.arena.high_water <= 256 * KIB
        assert p.arena.resets > 0 and p.arena.refusals == 0 and p.arena.reserved >= 64 * MIB
        if built_with_allocators():
            assert status(p.pid, "RssAnon") - before[p.pid] <= MIB


def pages_in_cache(paths):
    """How many pages of the files the kernel has in its cache."""
    libc, count = ctypes.CDLL(None, use_errno=True), 0
    for path in paths:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE) as m:
            pages = (len(m) + mmap.PAGESIZE - 1) // mmap.PAGESIZE
            seen = ctypes.create_string_buffer(pages)
            here = ctypes.addressof(ctypes.c_char.from_buffer(m))
            assert libc.mincore(ctypes.c_void_p(here), ctypes.c_size_t(len(m)), seen) == 0
            count += sum(byte & 1 for byte in seen.raw)
    return count


def mapped_by_shards(stats):
    """Pid -> resident bytes of files."""
    return {p.pid: p.rss_file + p.rss_shmem for p in of_role(stats, "shard")}


def mapped_at_rest(client):
    """The same when it has not changed for a while: those who stood by let go of what was merged when they come to it."""
    seen = []

    def is_at_rest(stats):
        seen.append(mapped_by_shards(stats))
        return len(seen) > 12 and all(one == seen[-1] for one in seen[-12:]) and not of_role(stats, "worker")
    await_figures(client, is_at_rest)
    return seen[-1]


def test_trim_lets_go_of_mapped_pages_and_the_kernel_keeps_them(server, films):
    make_one_file(films, "films")  # read whole by the merge
    for n in range(200):
        films.search("films", f"water{n}", limit=1000)
    files = list((server.data / "indexes").rglob("seg-*.mdb"))
    cached, before = pages_in_cache(files), mapped_at_rest(films)
    trimmed = films.trim("films")
    assert trimmed.silent == 0 and {p.pid for p in trimmed.processes} == set(before)
    assert sum(p.before - p.after for p in trimmed.processes) > MIB > 0, trimmed
    for p in trimmed.processes:  # code is mapped from a file as well, and more of it was run since
        assert abs(p.before - before[p.pid]) < MIB // 4
        assert abs(p.after - status(p.pid, "RssFile") - status(p.pid, "RssShmem")) < MIB // 4
    assert pages_in_cache(files) > cached // 2 > 0  # some may have gone for another's sake
    assert films.search("films", "water7", no_prefix=True).estimated_total == len(range(7, 20000, 977))


def test_trim_of_one_index_leaves_the_others(films):
    films.add("other", [{"id": 1, "text": "bridge"}], wait="searchable")
    films.optimize("other")  # from an image to a file
    films.search("other", "bridge")
    films.trim("other")  # which runs code that is mapped from files as well
    for _ in range(8):
        films.search("other", "bridge")
    resident = sum(mapped_by_shards(films.stats()).values())
    of_other = sum(p.before - p.after for p in films.trim("other").processes)
    of_all = sum(p.before - p.after for p in films.trim().processes)
    assert 0 < of_other < of_all < resident


def test_what_shards_hold_for_an_index_is_declared(films):
    def is_open(stats):
        index = stats.indexes[0]
        return all(p.indexes_open == 1 for p in of_role(stats, "shard")) and index.open_in == 4 and index.mapped == 2 * index.bytes
    reach_all_readers(films, "films", "bridge")
    films.optimize("films")  # of what is mapped there are two readers for each shard; images are not mapped
    stats = await_figures(films, is_open)
    index, shards = stats.indexes[0], of_role(stats, "shard")
    assert index.heap == sum(p.indexes_heap for p in shards) > 4 * 2 * KIB
    assert index.mapped == sum(p.indexes_mapped for p in shards)
    films.drop_index("films")
    assert not any(p.indexes_heap for p in of_role(await_figures(films, lambda s: not any(
        p.indexes_open for p in of_role(s, "shard"))), "shard"))


def memfds_of(pid):
    """How many a process has open; None if one was closed while they were counted."""
    try:
        return sum(os.readlink(link).startswith("/memfd:") for link in pathlib.Path(f"/proc/{pid}/fd").iterdir())
    except FileNotFoundError:
        return None


def test_figures_are_those_of_the_kernel(server, films):
    # A worker that folds or merges has a memfd for its last words, and goes when it is done: so both are asked until they agree.
    stats = await_figures(films, lambda s: s.memfds == memfds_of(server.process.pid) and not of_role(s, "worker"))
    for p in stats.processes:
        assert p.pss > 0 and p.rss_peak >= p.rss_anon > 0
        assert p.rss_peak <= status(p.pid, "VmHWM")
    assert stats.memfds >= 5
    assert stats.memfd_bytes >= 4096 * 5
    assert stats.workers_started >= 1
    assert not built_with_allocators() or stats.worker_peak_most >= stats.worker_peak_last > 0
    assert stats.worker_teardown_most_us >= stats.worker_teardown_last_us > 0
    assert sum(stats.latency) == stats.searches == 8
    assert stats.latency_sum_us > 0 and stats.clients_waiting == 0


def test_metrics_are_those_that_were_promised(server, films):
    """What is in metrics.txt is in other people's dashboards: it stays. What is new belongs there too."""
    text = server.run("stats", "--prometheus").stdout
    told = [line.removeprefix("# TYPE ") for line in text.splitlines() if line.startswith("# TYPE ")]
    promised = METRICS.read_text().splitlines()
    assert set(promised) <= set(told)
    for new in sorted(set(told) - set(promised)):
        note(f"metrics.txt does not have {new}")
    for name, kind in (line.split() for line in told):
        assert name.endswith("_total") == (kind == "counter"), name
        if kind == "histogram":
            buckets = [int(n) for n in re.findall(rf'^{name}_bucket{{le="[^"]+"}} (\d+)$', text, re.M)]
            assert buckets == sorted(buckets) and buckets[-1] == int(re.search(rf"^{name}_count (\d+)$", text, re.M)[1])
        else:
            told_of_it = re.search(rf"^{name}(\{{.*\}})? \d+(\.\d+)?$", text, re.M)
            assert told_of_it or (name.startswith("mayfly_heap_") and not built_with_allocators()), name


def test_clients_that_hang_up_while_figures_are_gathered_hurt_nobody(server, films):
    for n in range(60):
        m = server.client()
        requests = [m.send(stats_get=pb.StatsGet()) for _ in range(8)] + [m.send(trim=pb.Trim()) for _ in range(2)]
        if n % 2:
            for request in requests:
                m.cancel(request)
            assert m.ping() == "ready"
        m.close()
    films.stats()  # behind all of theirs
    assert films.ping() == "ready" and films.search("films", "bridge").hits
    assert {p.role for p in films.stats().processes} >= {"coordinator", "nursery", "shard"}


def test_trim_says_who_does_not_answer(server, films):
    shard = of_role(films.stats(), "shard")[0]
    os.kill(shard.pid, signal.SIGSTOP)
    try:
        trimmed = films.trim()
        assert trimmed.silent == 1 and shard.pid not in {p.pid for p in trimmed.processes}
        assert server.run("trim", check=False).returncode == 1
        assert films.stats().processes, "figures come without its help"
    finally:
        os.kill(shard.pid, signal.SIGCONT)
    assert films.trim().silent == 0
    os.kill(shard.pid, signal.SIGKILL)
    assert films.trim().silent <= 1


def test_trim_of_an_index_that_is_not_there_is_refused(server, films):
    with pytest.raises(mayfly.Failure) as refused:
        films.trim("none")
    assert refused.value.code == "index_not_found"
    assert json.loads(server.run("--json", "trim", "films").stdout)["silent"] == 0
