#!/usr/bin/python3
"""The machine's own Debian package catalogue as NDJSON, one document a package.

    catalogue.py LISTS_DIR OUT.ndjson

LISTS_DIR is an apt lists directory that has Packages and Translation-en. Long descriptions are joined on
Description-md5. Of a package that stands in several suites the last one is taken, in the order of the file names, which
puts updates and security behind the release. Exit status 1 if there is nothing to read.
"""
import glob
import json
import os
import subprocess
import sys

APT_HELPER = "/usr/lib/apt/apt-helper"


def paragraphs(path):
    """Fields of each paragraph of a control file, whatever its compression."""
    with subprocess.Popen([APT_HELPER, "cat-file", path], stdout=subprocess.PIPE, text=True, errors="replace") as cat:
        fields, name = {}, None
        for line in cat.stdout:
            line = line.rstrip("\n")
            if not line:
                if fields:
                    yield fields
                fields, name = {}, None
            elif line[0] in " \t" and name:
                fields[name] += "\n" + line[1:]
            else:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        if fields:
            yield fields
    if cat.returncode:
        sys.exit(f"catalogue: {path} cannot be read")


def long_descriptions(lists):
    """Description-md5 -> the long description, its paragraphs separated by empty lines."""
    texts = {}
    for path in sorted(glob.glob(os.path.join(lists, "*Translation-en*"))):
        for fields in paragraphs(path):
            _, _, body = fields.get("Description-en", "").partition("\n")
            texts[fields.get("Description-md5")] = "\n".join("" if l == "." else l for l in body.split("\n"))
    return texts


def dependencies(field):
    """Names only: of `libc6 (>= 2.34), a | b` libc6, a and b."""
    alternatives = field.replace("|", ",").split(",")
    return sorted({a.split()[0].split(":")[0] for a in alternatives if a.split()})


def document(fields, descriptions):
    return {
        "id": fields["Package"],
        "name": fields["Package"],
        "summary": fields.get("Description", "").split("\n")[0],
        "description": descriptions.get(fields.get("Description-md5"), ""),
        "section": fields.get("Section", ""),
        "priority": fields.get("Priority", ""),
        "maintainer": fields.get("Maintainer", ""),
        "version": fields.get("Version", ""),
        "size": int(fields.get("Size", 0)),
        "installed_kb": int(fields.get("Installed-Size", 0)),
        "depends": dependencies(fields.get("Depends", "")),
    }


def main():
    lists, out_path = sys.argv[1:3]
    descriptions = long_descriptions(lists)
    packages = {}
    for path in sorted(glob.glob(os.path.join(lists, "*_Packages*"))):
        for fields in paragraphs(path):
            if "Package" in fields:
                packages[fields["Package"]] = document(fields, descriptions)
    if not packages:
        sys.exit(f"catalogue: no package in {lists}")
    with open(out_path, "w", encoding="utf-8") as out:
        for name in sorted(packages):
            out.write(json.dumps(packages[name], ensure_ascii=False) + "\n")
    described = sum(1 for p in packages.values() if p["description"])
    print(f"{len(packages)} packages, {described} with a long description")


if __name__ == "__main__":
    main()
