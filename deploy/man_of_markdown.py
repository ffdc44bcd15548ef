#!/usr/bin/python3
"""A manual page from a page of ours in Markdown: man_of_markdown.py PAGE.md NAME SECTION "what it is" """
import re
import sys


def inline(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = re.sub(r"\[([^]]+)\]\([^)]+\)", r"\1", text)
    text = re.sub(r"`([^`]+)`", r"\\fB\1\\fR", text)
    text = re.sub(r"\*\*([^*]+)\*\*", r"\\fB\1\\fR", text)
    text = re.sub(r"\*([^*]+)\*", r"\\fI\1\\fR", text)
    return text if text[:1] not in (".", "'") else "\\&" + text


def literal(line):
    line = line.replace("\\", "\\e").replace("-", "\\-")
    return line if line[:1] not in (".", "'") else "\\&" + line


def table(rows):
    """The first cell is a term, the others explain it."""
    for row in rows[2:]:
        cells = [inline(cell.strip()) for cell in row.strip().strip("|").split("|")]
        yield ".TP"
        yield cells[0]
        yield "; ".join(cell for cell in cells[1:] if cell) or "\\&"


def blocks(lines):
    """(kind, lines) of each block."""
    kept, kind = [], None
    for line in lines:
        if kind == "code":
            if line.startswith("```"):
                yield kind, kept
                kept, kind = [], None
            else:
                kept.append(line)
            continue
        new = ("code" if line.startswith("```") else "head" if line.startswith("#") else "table" if line.startswith("|")
               else "item" if re.match(r"[-*] |\d+\. ", line) else kind if line.strip() and kind in ("text", "item")
               else "text" if line.strip() else None)
        if kept and (new != kind or new in ("head", "item") and not line.startswith(" ")):
            yield kind, kept
            kept = []
        kind = new
        if new and new != "code":
            kept.append(line)
    if kept:
        yield kind, kept


def page(text, name, section, what):
    yield f'.TH {name.upper()} {section} "2026" "mayfly" "Mayfly"'
    yield ".SH NAME"
    yield f"{inline(name)} \\- {inline(what)}"
    yield ".SH DESCRIPTION"
    for kind, lines in blocks(text.splitlines()):
        if kind == "head":
            level = len(lines[0]) - len(lines[0].lstrip("#"))
            title = lines[0].lstrip("# ")
            if level == 2:
                yield f'.SH "{inline(title).upper() if "`" not in title else inline(title)}"'
            elif level > 2:
                yield f'.SS "{inline(title)}"'
        elif kind == "code":
            yield from [".PP", ".nf", *map(literal, lines), ".fi"]
        elif kind == "table":
            yield from table(lines)
        elif kind == "item":
            yield ".IP \\(bu 2"
            yield from (inline(re.sub(r"^([-*]|\d+\.) ", "", line).strip()) for line in lines)
        elif kind == "text":
            yield ".PP"
            yield inline(" ".join(line.strip() for line in lines))
    yield '.SH "SEE ALSO"'
    yield ".BR mayflyd (8),\n.BR mayfly (1)"


def main():
    path, name, section, what = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        print("\n".join(page(file.read(), name, section, what)))


if __name__ == "__main__":
    main()
