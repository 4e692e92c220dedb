"""The command ``mnmpls``. Errors become a message and an exit status here, and nowhere else."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from mnmpls import guests
from mnmpls.errors import MnmplsError


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="mnmpls", description="MPLS labs on Mininet.")
    verbs = top.add_subparsers(dest="verb", required=True, metavar="VERB")
    guest = verbs.add_parser("guest", help="run something in a guest kernel that has MPLS and VRFs")
    actions = guest.add_subparsers(dest="action", required=True, metavar="ACTION")
    for action, text in (("run", "run a command"), ("shell", "open a shell")):
        one = actions.add_parser(action, help=text, description=f"{text.capitalize()} in a guest kernel: {ABOUT}")
        kernels = ("auto", *guests.GUESTS)
        one.add_argument("--kernel", default="auto", choices=kernels, help="which guest (auto: the first that starts)")
        one.add_argument(
            "-w", dest="writable", action="append", default=[], metavar="DIR", help="one more folder to write into"
        )
        if action == "run":
            one.add_argument("command", nargs="*", metavar="CMD", help="the command and its arguments, after --")
    return top


ABOUT = (
    "it sees this machine's files; the current folder is written through to the host, all else that is written is "
    "lost with the guest and named at its end. Its exit status is the command's, or 125 when the guest fails."
)


def guest(options: argparse.Namespace) -> int:
    argv = [os.environ.get("SHELL") or "/bin/sh"] if options.action == "shell" else options.command
    if argv[:1] == ["--"]:
        argv = argv[1:]
    if not argv:
        print("mnmpls: guest run: no command given (mnmpls guest run -- CMD …)", file=sys.stderr)
        return 2
    return guests.run(options.kernel, argv, writable=(os.getcwd(), *options.writable))


VERBS = {"guest": guest}


def main(argv: Sequence[str] | None = None) -> int:
    options = parser().parse_args(argv)
    try:
        return VERBS[options.verb](options)
    except MnmplsError as error:
        print(f"mnmpls: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
