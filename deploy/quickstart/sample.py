#!/usr/bin/python3
"""A sample of a few thousand documents from the project's own texts, where there is no package catalogue.

    sample.py CHECKOUT OUT.ndjson

One document for each comment, function and paragraph of the sources and documents that git, or the tree, has.
"""
import json
import os
import re
import sys

CODE = (".c", ".h", ".py", ".proto", ".cmake")
PROSE = (".md", ".1", ".5", ".7", ".8", ".txt")
SKIPPED = {"build", ".git", ".quickstart", "data", "__pycache__"}


def files(root):
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIPPED)
        for name in sorted(names):
            if name.endswith(CODE + PROSE):
                yield os.path.relpath(os.path.join(folder, name), root)


def pieces(text):
    """What stands between empty lines, with the line it begins at."""
    line = 1
    for piece in re.split(r"(\n\s*\n)", text):
        if len(piece.strip()) > 20:
            yield line, piece.strip()
        line += piece.count("\n")


def main():
    root, out_path = sys.argv[1:3]
    count = 0
    with open(out_path, "w", encoding="utf-8") as out:
        for path in files(root):
            with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
                text = file.read()
            for line, piece in pieces(text):
                count += 1
                out.write(json.dumps({
                    "id": str(count),
                    "name": f"{path}:{line}",
                    "summary": piece.split("\n")[0],
                    "description": piece,
                    "section": path.split(os.sep)[0],
                    "size": len(piece),
                }) + "\n")
    print(f"{count} pieces of the project's own texts")


if __name__ == "__main__":
    main()
