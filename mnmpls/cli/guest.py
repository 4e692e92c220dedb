"""The verb that lends a guest's kernel to any command."""

from __future__ import annotations

import os
from argparse import Namespace

from .. import guests
from ..errors import UsageError


def verb_guest(options: Namespace) -> int:
    argv = [os.environ.get("SHELL") or "/bin/sh"] if options.action == "shell" else options.command
    if not argv:
        raise UsageError("guest run: no command given (mnmpls guest run -- CMD …)")
    return guests.run(guests.choose_guest(options.kernel), argv, writable=(os.getcwd(), *options.writable))
