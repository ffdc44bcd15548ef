"""Completions as the shells themselves load and ask them; a shell that is not installed is skipped."""
import os
import pty
import select
import shutil
import subprocess

import pytest

from conftest import BIN

LIMIT = 60


@pytest.fixture(scope="module")
def share(tmp_path_factory):
    place = tmp_path_factory.mktemp("prefix")
    subprocess.run(["cmake", "--install", BIN.parent, "--prefix", place], check=True, stdin=subprocess.DEVNULL,
                   stdout=subprocess.DEVNULL, timeout=120)
    return place / "share"


def said_by(home, *command):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=LIMIT, check=False, cwd=home,
                          stdin=subprocess.DEVNULL, env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home)})
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def bash(share, home, line):
    script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($#-1)); COMPREPLY=(); _mayfly 2>/dev/null; '
              'printf "%s\\n" "${COMPREPLY[@]}"')
    words = [*line.split(), ""] if line.endswith(" ") else line.split()
    return said_by(home, "bash", "-c", script, "sh", share / "bash-completion/completions/mayfly", *words).split()


def fish(share, home, line):
    script = f"source {share}/fish/vendor_completions.d/mayfly.fish; complete -C '{line}'"
    return [found.split("\t")[0] for found in said_by(home, "fish", "--no-config", "-c", script).splitlines()]


# zsh completes only at a terminal. Whatever is added as a match is written down too; a word ends the list.
ZSH_SETUP = """
PS1=
fpath=({share}/zsh/vendor-completions $fpath)
autoload -Uz compinit && compinit -u -d {home}/dump
compadd() {{
    local -a found
    local asked=("${{(@)@[1,(i)(-|--)]}}")
    if (( ! $asked[(I)-[^-]#[OAD]] )); then
        builtin compadd -O found "$@"
        (( $#found )) && print -rl -- $found >>{home}/found
    fi
    builtin compadd "$@"
}}
complete-and-say() {{ zle complete-word; print -r -- '<end>' >>{home}/found; print -r -- end >{home}/told }}
zle -N complete-and-say
bindkey '^I' complete-and-say
"""


def await_word(told, terminal):
    """Reads what the terminal shows meanwhile, so that zsh is not held up."""
    end = b""
    while not end:
        ready, _, _ = select.select([told, terminal], [], [], LIMIT)
        assert ready, "zsh does not answer"
        if terminal in ready:
            os.read(terminal, 65536)
        if told in ready:
            end = os.read(told, 100)


def zsh(share, home, line):
    (home / "setup").write_text("setopt extendedglob\n" + ZSH_SETUP.format(share=share, home=home))
    os.mkfifo(home / "told")
    told = os.open(home / "told", os.O_RDWR)
    terminal, inner = pty.openpty()
    shell = subprocess.Popen(["zsh", "-f", "-i"], stdin=inner, stdout=inner, stderr=inner, cwd=home, start_new_session=True,
                             env={**os.environ, "HOME": str(home), "ZDOTDIR": str(home), "TERM": "dumb"})
    try:
        os.write(terminal, f"source {home}/setup\n{line}\t".encode())
        await_word(told, terminal)
    finally:
        shell.kill()
        shell.wait(LIMIT)
        for fd in (told, terminal, inner):
            os.close(fd)
    return (home / "found").read_text().split("\n<end>")[0].split()


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
LINES = [
    ("mayfly s", {"search", "settings", "stats"}, {"add"}),
    ("mayfly index cr", {"create"}, {"drop"}),
    ("mayfly settings ", {"get", "set"}, {"page.json"}),
    ("mayfly search films --ma", {"--match"}, {"--socket"}),
    ("mayfly search films --match fr", {"frequency"}, {"last"}),
    ("mayfly --socket /nowhere add films --w", {"--wait"}, {"--match"}),
    ("mayfly add films pa", {"page.json"}, set()),
    ("mayfly search films pa", set(), {"page.json"}),
    ("mayfly settings set films pa", {"page.json"}, set()),
    ("mayfly tasks --wait ", set(), {"accepted", "searchable"}),
    ("mayfly --host localhost --s", {"--socket"}, {"--match"}),
]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("line, offered, left_out", LINES, ids=[line for line, _, _ in LINES])
def test_a_shell_offers(share, tmp_path, shell, line, offered, left_out):
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    (tmp_path / "page.json").write_text("{}")
    found = set(SHELLS[shell](share, tmp_path, line))
    assert offered <= found and not left_out & found, found
