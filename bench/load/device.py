"""What a disk was given to write, whoever wrote it.

What the kernel counts for a process (write_bytes) is no measure of that: where the page cache has folios of several pages, as
ext4 has from Linux 6.16 on, it counts the whole folio when a byte of it is written, though only the page goes to the disk; and
the file system's journal it does not count for anybody. So either may be far above the other: a file of four pages in one
folio, of which one is written and synced, counts 16 KB, and the disk has 4; 830 bytes appended and synced count 4.9 KB, and
the disk has 20. The disk's own counter has all of that, and what others write to it meanwhile, too.
"""
import os
import pathlib
import subprocess

SECTOR = 512


def written_to(place):
    """Bytes since it is there, of the disk below `place`, when all that waits in memory is written; None: it is no disk."""
    number = os.stat(place).st_dev
    counters = pathlib.Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}/stat")
    if not counters.exists():
        return None
    subprocess.run(["sync", "-f", str(place)], check=True)
    return int(counters.read_text().split()[6]) * SECTOR


def between(before, after):
    return None if before is None or after is None else after - before
