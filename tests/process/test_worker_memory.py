"""What a worker that comes to its cap does: words, and nothing is lost but what is too large."""
import os
import random
import subprocess

import pytest

from conftest import BIN
from nursery import HAS_ARENA, MIB, documents, make_nursery, nursery, puts, surveyed


@pytest.mark.skipif(not HAS_ARENA, reason="no arena under sanitizers")
def test_exports_the_whole_malloc_family():
    out = subprocess.run(["nm", "-D", "--defined-only", str(BIN / "mayfly-worker")], capture_output=True, text=True,
                         check=True).stdout
    exported = {line.split()[-1].split("@")[0] for line in out.splitlines() if " T " in line}
    assert {"malloc", "calloc", "realloc", "reallocarray", "free", "cfree", "posix_memalign", "aligned_alloc", "memalign",
            "valloc", "pvalloc", "malloc_usable_size"} <= exported


def run_to_the_end(nursery, fd, count, cap_of):
    """As the coordinator would: successors after a retirement, halves after a death at the cap, at last a quarantine."""
    first, segment, deaths, stop, skip = 1, 0, 0, 0, []
    while first <= count:
        segment += 1
        worker = nursery.build([fd], [(1, count + 1)], segment=segment, resume=first, stop=stop, cap=cap_of(), skip=skip)
        words = nursery.run(worker)
        if words["reason"] in ("done", "retired"):
            outcome = worker.outcome()
            assert outcome.committed and outcome.applied.first == first
            assert outcome.applied.end == (stop or count + 1) or words["reason"] == "retired"
            first, stop = outcome.applied.end, 0
            continue
        assert words["reason"] in ("cap", "kernel_cap") and words["text"], words
        assert os.waitstatus_to_exitcode(worker.status) == 75 and worker.outcome() is None
        assert words["peak"] <= words["cap"]
        deaths += 1
        assert surveyed(nursery)[-1].watermark == first  # nothing of it is committed, and core.mdb is whole
        left = (stop or count + 1) - first
        if left == 1:
            skip.append(nursery.internal.Skip(sequence=first, code="too_much_memory", message="it needs more"))
        else:
            stop = first + left // 2
    return deaths, [s.sequence for s in skip]


@pytest.mark.skipif(not HAS_ARENA, reason="no cap under sanitizers")
@pytest.mark.parametrize("cap", [32, 33, 37, 41, 48, 64])
def test_small_caps_commit_everything(nursery, directory, cap):
    many = documents(12000, words=40)
    deaths, skipped = run_to_the_end(nursery, puts(many), len(many), lambda: cap * MIB)
    state = surveyed(nursery)[-1]
    assert (state.documents, state.watermark) == (len(many), len(many) + 1)
    assert deaths == 0 and not skipped


@pytest.mark.skipif(not HAS_ARENA, reason="no cap under sanitizers")
@pytest.mark.parametrize("seed", range(3))
def test_random_caps_and_sizes_lose_nothing_but_what_is_too_large(nursery, seed):
    rng = random.Random(seed)
    many = [{"id": i, "t": " ".join(f"{rng.getrandbits(20):05x}" for _ in range(rng.choice((3, 50, 2000, 30000)) +
                                                                            250000 * (rng.random() < 0.06)))}
            for i in range(60)]
    deaths, skipped = run_to_the_end(nursery, puts(many), len(many), lambda: rng.randrange(32 * MIB, 80 * MIB))
    state = surveyed(nursery)[-1]
    assert (state.documents, state.watermark) == (len(many) - len(skipped), len(many) + 1)
    assert all(len(many[n - 1]["t"]) > 1000000 for n in skipped), (deaths, skipped)


@pytest.mark.skipif(not HAS_ARENA, reason="no cap under sanitizers")
def test_a_document_too_large_for_the_cap_is_named(nursery, directory):
    big = {"id": "big", "body": " ".join(f"x{i:x}" for i in range(1500000))}
    fd = puts([{"id": "before"}, big, {"id": "after"}])
    worker = nursery.build([fd], [(1, 4)], cap=32 * MIB)
    words = nursery.run(worker)
    if words["reason"] == "retired":  # with the first document alone
        worker = nursery.build([fd], [(1, 4)], cap=32 * MIB, resume=2, segment=2)
        words = nursery.run(worker)
    assert words["reason"] in ("cap", "kernel_cap") and words["sequence"] == 2 and words["text"]
    assert os.waitstatus_to_exitcode(worker.status) == 75
    assert words["peak"] <= 32 * MIB


@pytest.mark.skipif(not HAS_ARENA, reason="no cap under sanitizers")
@pytest.mark.parametrize("cap", [1 * MIB, 8 * MIB, 14 * MIB, 17 * MIB, 20 * MIB, 23 * MIB, 26 * MIB])
def test_below_the_smallest_cap_it_dies_with_words_and_core_is_whole(nursery, cap):
    assert nursery.run(nursery.build([puts(documents(10))], [(1, 11)]))["reason"] == "done"
    many = documents(3000, 100, words=40)
    worker = nursery.build([puts(many, 11)], [(11, 3011)], segment=2, cap=cap)
    words = nursery.run(worker)
    assert words["reason"] in ("cap", "kernel_cap", "done", "retired") and words["text"], words
    state = surveyed(nursery)[-1]
    assert state.documents >= 10 and (state.documents > 10) == (words["reason"] in ("done", "retired"))
