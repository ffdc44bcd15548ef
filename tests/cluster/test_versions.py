"""Data of a newer format is refused by name, and not touched: by a server that was downgraded, say."""
import struct

import mayfly
import pytest
from conftest import make_one_file
from crc import crc32c

NEWER = 9


def everywhere(content, magic):
    at = content.find(magic)
    while at >= 0:
        yield at
        at = content.find(magic, at + 1)


def newer_catalog(content):
    """"MFCT", version ... 24 bytes, and the checksum of key and value."""
    for at in everywhere(content, b"MFCT"):
        struct.pack_into("<I", content, at + 4, NEWER)
        struct.pack_into("<I", content, at + 24, crc32c(b"m" + content[at:at + 24]))


def newer_log(content):
    """"MFLG", version, number, and the checksum of the 16 bytes before."""
    struct.pack_into("<I", content, 4, NEWER)
    struct.pack_into("<I", content, 16, crc32c(content[:16]))


def newer_core(content):
    """"MFCV", version: the checksum is of what follows."""
    for at in everywhere(content, b"MFCV"):
        struct.pack_into("<H", content, at + 4, NEWER)


def newer_segment(content):
    """The seal's footer: ..., version, not version, "MFSE"."""
    struct.pack_into("<II", content, len(content) - 12, NEWER, ~NEWER & 0xFFFFFFFF)


def change(path, make_newer):
    content = bytearray(path.read_bytes())
    make_newer(content)
    path.write_bytes(content)


def snapshot(data):
    """Every file but LOCK and what LMDB keeps of who reads."""
    return {path.relative_to(data): path.read_bytes() for path in data.rglob("*")
            if path.is_file() and path.name != "LOCK" and not path.name.endswith("-lock")}


@pytest.fixture
def stopped(make_server):
    server = make_server(shards=1, config={"merge": "manual"})
    with server.client() as m:
        for index in ("books", "others"):
            m.add(index, [{"id": n, "title": f"water {n} {' '.join('abcdefgh')}"} for n in range(3000)], wait="searchable")
        make_one_file(m, "books", "others")
    server.stop()
    return server


def newest_log(data):
    return max(data.glob("log/*.log"), key=lambda path: int(path.stem))


@pytest.mark.parametrize("which, make_newer, words",
                         [("catalog", newer_catalog, r"catalog.mdb .* format 9, this server reads \d"),
                          ("log", newer_log, r"log/\d+.log is of format 9, this server reads \d")])
def test_a_start_is_refused(stopped, which, make_newer, words):
    path = stopped.data / "catalog.mdb" if which == "catalog" else newest_log(stopped.data)
    original = path.read_bytes()
    change(path, make_newer)
    before = snapshot(stopped.data)
    with pytest.raises(AssertionError, match=words):
        stopped.start()
    assert snapshot(stopped.data) == before
    checked = stopped.run("check", stopped.data, check=False)
    assert checked.returncode == 1 and path.name in checked.stdout and "this program reads" in checked.stdout
    path.write_bytes(original)
    stopped.start()


@pytest.mark.parametrize("which, make_newer", [("core.mdb", newer_core), ("seg-*.mdb", newer_segment)])
def test_an_index_is_refused_and_the_others_are_not(stopped, which, make_newer):
    path = next((stopped.data / "indexes/1/1/0").glob(which))
    original = path.read_bytes()
    change(path, make_newer)
    before = {name: content for name, content in snapshot(stopped.data).items() if name.parts[:2] == ("indexes", "1")}
    stopped.start()
    with stopped.client() as m:
        with pytest.raises(mayfly.Failure) as refused:
            m.search("books", "water")
        assert refused.value.code == "index_damaged"
        assert m.search("others", "water").estimated_total == 3000
        m.add("others", [{"id": 1, "title": "wine"}], wait="searchable")
    stopped.stop()
    assert "version" in stopped.log() and path.name in stopped.log()
    after = {name: content for name, content in snapshot(stopped.data).items() if name.parts[:2] == ("indexes", "1")}
    assert after == before
    checked = stopped.run("check", stopped.data, check=False)
    assert checked.returncode == 1 and path.name in checked.stdout and "of another version" in checked.stdout
    path.write_bytes(original)
    stopped.start()
    with stopped.client() as m:
        assert m.search("books", "water").estimated_total == 3000
