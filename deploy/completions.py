#!/usr/bin/python3
"""Completions for a shell, made of what `mayfly --help` says: completions.py MAYFLY bash|zsh|fish."""
import re
import subprocess
import sys

FILES = {"add", "settings set", "backup", "restore", "check"}             # commands whose last arguments are files
FILE_OPTIONS = {"batch", "socket", "data"}
VALUES = {"wait": "none accepted searchable", "format": "ndjson json csv", "match": "last all frequency any",
          "prefix": "auto off", "typo": "auto off"}
OPTION = re.compile(r"  --(\S+)( [A-Z]\S*)? +(.*)")


def help_of(mayfly, *words):
    return subprocess.run([mayfly, *words, "--help"], capture_output=True, text=True, check=True).stdout


def section(text, title):
    found = re.search(rf"^{title}:\n((?:  .*\n)+)", text, re.MULTILINE)
    return found[1].splitlines() if found else []


def options_in(text, title):
    """name -> (takes a value, description)."""
    found = (OPTION.match(line) for line in section(text, title))
    return {m[1]: (bool(m[2]), m[3]) for m in found if m}


def commands_in(text):
    """"index create" -> description."""
    found = {}
    for line in section(text, "Commands"):
        words, description = re.match(r"  (.+?)  +(.*)", line).groups()
        found[" ".join(w for w in words.split() if re.fullmatch("[a-z]+", w))] = description
    return found


class Program:
    def __init__(self, mayfly):
        text = help_of(mayfly)
        self.commands = commands_in(text)
        self.everywhere = options_in(text, "Options of every command")
        self.options = {c: options_in(help_of(mayfly, *c.split()), "Options") for c in self.commands}

    def firsts(self):
        return sorted({c.split()[0] for c in self.commands})

    def seconds(self, first):
        return sorted(c.split()[1] for c in self.commands if c.startswith(first + " "))


def takes_values(options):
    return " ".join(sorted(f"--{name}" for name, (value, _) in options.items() if value))


def names(options):
    return " ".join(sorted(f"--{name}" for name in options))


def bash(p):
    yield "# bash completion of mayfly, made from its --help"
    yield "_mayfly()\n{"
    yield '    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} first= second= i word options'
    values = {**p.everywhere, **{n: o for all_ in p.options.values() for n, o in all_.items()}}
    yield "    for ((i = 1; i < COMP_CWORD; i++)); do"
    yield "        word=${COMP_WORDS[i]}"
    yield "        case $word in"
    yield f"            {takes_values(values).replace(' ', '|')}) ((i++)) ;;"
    yield "            -*) ;;"
    yield "            *) if [ -z \"$first\" ]; then first=$word; elif [ -z \"$second\" ]; then second=$word; fi ;;"
    yield "        esac"
    yield "    done"
    yield "    case $prev in"
    for name, choices in sorted(VALUES.items()):
        yield f"        --{name}) [ \"$first\" = tasks ] || COMPREPLY=($(compgen -W '{choices}' -- \"$cur\")); return ;;"
    for name in sorted(FILE_OPTIONS):
        yield f"        --{name}) compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")); return ;;"
    yield f"        {takes_values({n: o for n, o in values.items() if n not in VALUES and n not in FILE_OPTIONS}).replace(' ', '|')}) return ;;"
    yield "    esac"
    yield "    case \"$first $second\" in"
    for command in p.commands:
        pattern = f"'{command}'" if " " in command else f"'{command} '*"
        yield f"        {pattern}) options='{names(p.options[command])}' ;;"
    yield "    esac"
    yield "    if [[ $cur == -* ]]; then"
    yield f"        COMPREPLY=($(compgen -W \"{names(p.everywhere)} $options\" -- \"$cur\"))"
    yield "    elif [ -z \"$first\" ]; then"
    yield f"        COMPREPLY=($(compgen -W '{' '.join(p.firsts())}' -- \"$cur\"))"
    yield "    else"
    yield "        case \"$first $second\" in"
    for first in p.firsts():
        if p.seconds(first):
            yield f"            '{first} ') COMPREPLY=($(compgen -W '{' '.join(p.seconds(first))}' -- \"$cur\")) ;;"
    for command in sorted(FILES):
        pattern = f"'{command}'" if " " in command else f"'{command} '*"
        yield f"            {pattern}) compopt -o filenames; COMPREPLY=($(compgen -f -- \"$cur\")) ;;"
    yield "        esac"
    yield "    fi"
    yield "}\ncomplete -F _mayfly mayfly"


def quoted(text):
    return "'" + text.replace("'", "'\\''") + "'"


def choices(command, name):
    """What an option's value may be; --wait of tasks is a number."""
    return None if (command, name) == ("tasks", "wait") else VALUES.get(name)


def zsh_option(command, name, takes, description):
    description = re.sub(r"([\[\]:])", r"\\\1", description)
    known = choices(command, name)
    action = f"({known})" if known else "_files" if name in FILE_OPTIONS else " "
    return quoted(f"--{name}[{description}]" + (f":value:{action}" if takes else ""))


def zsh_arguments(p, first):
    """What is completed behind a first word: its options, its second word, files."""
    options = {n: zsh_option(c, n, *o) for c, all_ in p.options.items() if c.split()[0] == first for n, o in all_.items()}
    yield from (option for _, option in sorted(options.items()))
    if p.seconds(first):
        yield quoted(f"1:command:({' '.join(p.seconds(first))})")
    rest = "_files" if any(c.split()[0] == first for c in FILES) else " "
    yield quoted(f"*:argument:{rest}")


def zsh(p):
    yield "#compdef mayfly"
    yield "# zsh completion of mayfly, made from its --help"
    yield "_mayfly() {"
    yield "    local curcontext=$curcontext state line"
    yield "    local -A opt_args"
    yield "    local -a everywhere commands"
    yield "    everywhere=("
    yield from (f"        {zsh_option('', n, *o)}" for n, o in sorted(p.everywhere.items()))
    yield "    )"
    yield "    commands=("
    for first in p.firsts():
        description = p.commands.get(first) or ", ".join(p.seconds(first))
        yield f"        {quoted(f'{first}:{description}')}"
    yield "    )"
    yield "    _arguments -C $everywhere '(-): :->command' '(-)*:: :->rest' && return"
    yield "    case $state in"
    yield "        command) _describe command commands ;;"
    yield "        rest)"
    yield "            case $words[1] in"
    for first in p.firsts():
        yield f"                {first}) _arguments $everywhere {' '.join(zsh_arguments(p, first))} ;;"
    yield "            esac ;;"
    yield "    esac"
    yield "}"
    yield "_mayfly \"$@\""


def fish_option(command, condition, name, takes, description):
    known = choices(command, name)
    given = f" -x -a {quoted(known)}" if known else " -r -F" if name in FILE_OPTIONS else " -x" if takes else ""
    where = f" -n {quoted(condition)}" if condition else ""
    return f"complete -c mayfly{where} -l {name}{given} -d {quoted(description)}"


def fish(p):
    yield "# fish completion of mayfly, made from its --help"
    yield "complete -c mayfly -f"
    for name, option in sorted(p.everywhere.items()):
        yield fish_option("", "", name, *option)
    for first in p.firsts():
        description = p.commands.get(first) or ", ".join(p.seconds(first))
        yield f"complete -c mayfly -n __fish_use_subcommand -a {first} -d {quoted(description)}"
    for command, description in p.commands.items():
        first, *second = command.split()
        seen = f"__fish_seen_subcommand_from {first}"
        if second:
            missing = f"{seen}; and not __fish_seen_subcommand_from {' '.join(p.seconds(first))}"
            yield f"complete -c mayfly -n {quoted(missing)} -a {second[0]} -d {quoted(description)}"
            seen += f"; and __fish_seen_subcommand_from {second[0]}"
        for name, option in sorted(p.options[command].items()):
            yield fish_option(command, seen, name, *option)
        if command in FILES:
            yield f"complete -c mayfly -n {quoted(seen)} -F"


def main():
    program = Program(sys.argv[1])
    writer = {"bash": bash, "zsh": zsh, "fish": fish}[sys.argv[2]]
    print("\n".join(writer(program)))


if __name__ == "__main__":
    main()
