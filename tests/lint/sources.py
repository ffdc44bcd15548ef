#!/usr/bin/python3
"""The rules for sources that no compiler checks; prints each breach as FILE:LINE, exit status 1 if there is one."""
import os
import re
import sys

# directory -> directories whose headers it may include
ARROWS = {
    "common": {"common"},
    "proto": {"common", "proto"},
    "index": {"common", "index"},
    "coordinator": {"common", "proto", "coordinator"},
    "worker": {"common", "proto", "index", "worker"},
    "shard": {"common", "proto", "index", "shard"},
    "verify": {"common", "proto", "index", "verify"},
    "client": {"common", "proto", "client"},
}

# What is in the library mayfly_formats: headers of the coordinator that verify/ may include
FORMATS = {"coordinator/catalog_store.h", "coordinator/oplog_scan.h", "coordinator/ranges.h"}

# third-party header -> files that may include it
WRAPPED = {
    r"yajl/": r"common/json_why\.c|bench/json_libraries\.c",
    r"xxhash\.h": r"common/hash\.c",
    r"lmdb\.h": r"index/(store|store_writer|core_file)\.c|index/store_lmdb\.h|coordinator/catalog\w*\.[ch]",
    r"unicode/": r"index/analy\w*\.[ch]",
    r"libstemmer\.h": r"index/analy\w*\.[ch]",
    r"lz4\.h": r"index/\w+\.c",
    r"roaring/": r"index/\w+\.c",
    r"uv\.h": r"coordinator/\w+\.[ch]",
    r"ini\.h": r"coordinator/config\w*\.c",
    r"gperftools/": r"shard/\w+\.c",
}

BANNED = r"\b(strcpy|strcat|sprintf|vsprintf|strtok|gmtime|localtime|asctime|ctime|gets|alloca)\("
MAX_LINES = 600


def sources(root):
    for directory in ARROWS:
        for folder, folders, names in os.walk(os.path.join(root, directory)):
            folders[:] = [f for f in folders if f != "python"]
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield directory, os.path.relpath(os.path.join(folder, name), root)


def runs_in(root, header):
    """The processes that a header of a library says it is for; None: all."""
    with open(os.path.join(root, header), encoding="utf-8") as file:
        head = file.read(1500).split("*/")[0]
    match = re.search(r"Runs in: ([\w ,;]+)", head)
    return set(re.findall(r"worker|shard|coordinator|client|bench", match.group(1))) if match else None


def check_includes(root, directory, path, lines):
    first = None
    for number, line in enumerate(lines, 1):
        match = re.match(r'#\s*include\s+([<"])([^>"]+)[>"]', line)
        if not match:
            continue
        quote, name = match.groups()
        first = first or name
        if quote == '"' and "/" in name:
            target = name.split("/")[0]
            shown = directory == "verify" and name in FORMATS
            if target in ARROWS and target not in ARROWS[directory] and not shown:
                yield number, f"{directory}/ may not include {name}"
            header = os.path.join(root, name)
            if directory in ("worker", "shard", "coordinator") and target != directory and os.path.exists(header):
                wanted = runs_in(root, name)
                if wanted and directory not in wanted:
                    yield number, f"{name} says that it runs in {', '.join(sorted(wanted))}"
        for pattern, allowed in WRAPPED.items():
            if re.match(pattern, name) and not re.fullmatch(allowed, path):
                yield number, f"<{name}> belongs to {allowed}"
    own = path[:-2] + ".h"
    if path.endswith(".c") and os.path.exists(os.path.join(root, own)) and first != own:
        yield 1, f"includes {first} before its own header"


def check(root, directory, path):
    with open(os.path.join(root, path), encoding="utf-8") as file:
        lines = file.read().split("\n")
    yield from check_includes(root, directory, path, lines)
    if path.endswith(".h") and not lines[0].startswith(f"/* {os.path.basename(path)} - "):
        yield 1, "the first line of a header says what it is for: /* NAME.h - ..."
    if len(lines) > MAX_LINES:
        yield len(lines), f"more than {MAX_LINES} lines: two ideas"
    for number, line in enumerate(lines, 1):
        match = re.search(BANNED, line)
        if match and not line.lstrip().startswith(("*", "/*")):
            yield number, f"{match.group(1)} is banned"


def main():
    root = sys.argv[1]
    breaches = [(path, number, what) for directory, path in sources(root) for number, what in check(root, directory, path)]
    for path, number, what in breaches:
        print(f"{path}:{number}: {what}")
    sys.exit(1 if breaches else 0)


if __name__ == "__main__":
    main()
