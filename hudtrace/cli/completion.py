"""`hudtrace completion`: what makes bash, zsh and fish complete our commands.

The words come from the parser itself, when the text is printed; ids of traces and jobs
from the store, when they are asked for.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from hudtrace import cli
from hudtrace.cli.reading import opened
from hudtrace.errors import HudtraceError

_IDS = 50
#: What is completed from the store: positional arguments and options by their names.
_TRACES = frozenset({"trace", "a", "b"})
_JOBS = frozenset({"job"})


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        'Print a script for the shell: eval "$(hudtrace completion bash)" in ~/.bashrc, '
        "the same with zsh in ~/.zshrc after compinit, or "
        "hudtrace completion fish > ~/.config/fish/completions/hudtrace.fish"
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "ids"))
    parser.add_argument("kind", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("prefix", nargs="?", default="", help=argparse.SUPPRESS)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the script, or ids that begin with a prefix; return the exit code."""
    if options.shell == "ids":
        for known in _ids(options.kind or "trace", options.prefix):
            print(known)
        return 0
    commands = list(_commands(cli.parser()))
    made = {"bash": _bash, "zsh": _zsh, "fish": _fish}[options.shell]
    print("\n".join(made(commands)))
    return 0


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its words, its options, and what its first argument is."""

    name: str
    does: str
    options: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    ids: str = ""  # trace or job, if those are what it takes


def _commands(parser: argparse.ArgumentParser) -> Iterator[Command]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {each.dest: each.help or "" for each in action._choices_actions}
            for name, command in action.choices.items():
                yield _command(name, helps.get(name, ""), command)


def _command(name: str, does: str, parser: argparse.ArgumentParser) -> Command:
    made = Command(name, does)
    kinds = set()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            made.words.extend(action.choices)
            for below in action.choices.values():
                made.options.extend(below._option_string_actions)
        elif action.option_strings:
            made.options.extend(o for o in action.option_strings if o.startswith("--"))
        elif action.choices and action.help != argparse.SUPPRESS:
            made.words.extend(str(c) for c in action.choices if c != "ids")
        elif action.dest in _TRACES:
            kinds.add("trace")
        elif action.dest in _JOBS:
            kinds.add("job")
    ids = "trace" if "trace" in kinds else "".join(kinds)
    options = sorted({o for o in made.options if o.startswith("--")})
    return Command(name, does, options, made.words, ids)


def _ids(kind: str, prefix: str) -> Iterator[str]:
    """Return ids that begin with *prefix*; nothing where there is no store."""
    column = {"trace": "lower(hex(trace_id))", "job": "job_id"}.get(kind)
    if column is None:
        return
    with contextlib.suppress(HudtraceError, OSError), opened(None) as db:
        rows = db.execute(
            f"SELECT {column} AS id, max(start) FROM episodes "
            "WHERE id IS NOT NULL AND substr(id, 1, ?) = ? "
            "GROUP BY id ORDER BY 2 DESC LIMIT ?",
            (len(prefix), prefix, _IDS),
        )
        for known, _ in rows:
            # A word of a shell: ids with other signs would have to be quoted.
            if str(known).replace("-", "").replace("_", "").isalnum():
                yield str(known)


def _bash(commands: list[Command]) -> Iterator[str]:
    yield "_hudtrace() {"
    yield '    local word="${COMP_WORDS[COMP_CWORD]}" words="" ids=""'
    yield '    if [ "$COMP_CWORD" -eq 1 ]; then'
    yield f'        words="{" ".join(c.name for c in commands)} --help --version"'
    yield "    else"
    yield '        case "${COMP_WORDS[1]}" in'
    for command in commands:
        words = " ".join([*command.words, *command.options])
        ids = f" ids={command.ids}" if command.ids else ""
        yield f'            ({command.name}) words="{words}"{ids} ;;'
    yield "        esac"
    yield '        [ "${COMP_WORDS[COMP_CWORD-1]}" = --job ] && ids=job words=""'
    yield '        case "${COMP_WORDS[COMP_CWORD-1]}" in'
    yield '            (--store|--script|--output) COMPREPLY=($(compgen -f -- "$word")); return ;;'
    yield "        esac"
    yield '        if [ -n "$ids" ] && [ "${word#-}" = "$word" ]; then'
    yield '            words="$words $("${COMP_WORDS[0]}" completion ids "$ids" "$word" 2>/dev/null)"'
    yield "        fi"
    yield "    fi"
    yield '    COMPREPLY=($(compgen -W "$words" -- "$word"))'
    yield "}"
    yield "complete -o default -F _hudtrace hudtrace"


def _zsh(commands: list[Command]) -> Iterator[str]:
    yield "#compdef hudtrace"
    yield "_hudtrace() {"
    yield "    local -a commands"
    yield "    commands=("
    for command in commands:
        yield f"        {_quoted(f'{command.name}:{command.does}')}"
    yield "    )"
    yield "    if (( CURRENT == 2 )); then"
    yield "        _describe command commands"
    yield "        return"
    yield "    fi"
    yield '    local ids=""'
    yield "    local -a known"
    yield '    case "${words[2]}" in'
    for command in commands:
        listed = " ".join([*command.words, *command.options])
        ids = f"; ids={command.ids}" if command.ids else ""
        yield f"        ({command.name}) known=({listed}){ids} ;;"
    yield "    esac"
    yield '    [[ "${words[CURRENT-1]}" == --job ]] && ids=job'
    yield '    if [[ -n "$ids" && "${words[CURRENT]}" != -* ]]; then'
    yield '        known+=(${(f)"$(${words[1]} completion ids $ids "${words[CURRENT]}" 2>/dev/null)"})'
    yield "    fi"
    yield "    compadd -- $known || _files"
    yield "}"
    yield "compdef _hudtrace hudtrace"


def _fish(commands: list[Command]) -> Iterator[str]:
    names = " ".join(command.name for command in commands)
    first = f"not __fish_seen_subcommand_from {names}"
    for command in commands:
        yield (
            f"complete -c hudtrace -f -n {_quoted(first)} "
            f"-a {command.name} -d {_quoted(command.does)}"
        )
        here = f"complete -c hudtrace -n '__fish_seen_subcommand_from {command.name}'"
        for word in command.words:
            yield f"{here} -f -a {word}"
        for option in command.options:
            yield f"{here} -l {option.removeprefix('--')}"
        if command.ids:
            ask = (
                f"(hudtrace completion ids {command.ids} (commandline -ct) 2>/dev/null)"
            )
            yield f"{here} -f -a {_quoted(ask)}"


def _quoted(said: str) -> str:
    return "'" + said.replace("\\", "\\\\").replace("'", "'\\''") + "'"
