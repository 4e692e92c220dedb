"""The first process of a container of ours (``mnmpls-node``). With words it becomes that command. Without, it is a node
of the lab that the container was given: it sets it up (node.py, or own_kernel.py where this kernel cannot), and never
ends by itself, so that a mistake can be read (``docker logs``) and looked at (``docker exec``)."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import CheckFailed, LabError, MnmplsError, nearest
from ..model import Lab
from ..plan import complete
from ..sources import load
from ..sources.from_yaml import text_of
from ..sources.variables import names

FOLDER = Path("/etc/mnmpls")
LAB_FILES = ("lab.clab.yml", "lab.yml")
FAILED_FILE = "/run/mnmpls.failed"
"""There when a node has not been set up and will not be."""
NAME = "CLAB_LABEL_CLAB_NODE_NAME"
LINKS = "CLAB_INTFS"
"""Containerlab gives each container its labels as environment, and the number of its links."""


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    if words:
        return _become(words)
    Path(FAILED_FILE).unlink(missing_ok=True)
    child = os.fork()
    if child == 0:
        os._exit(_serve())
    signal.signal(signal.SIGTERM, lambda *_: _end(child))
    signal.signal(signal.SIGINT, lambda *_: _end(child))
    while True:  # whose parent has ended is a child of the first process, which alone can clear it away
        with suppress(ChildProcessError):
            if os.wait()[0] == child:
                Path(FAILED_FILE).touch()
            continue
        signal.pause()


def _become(words: list[str]) -> int:
    """Comes back only where that is no command; gives what a shell gives then."""
    try:
        os.execvp(words[0], words)
    except OSError as error:
        print(f"mnmpls: cannot run {words[0]}: {error.strerror}", file=sys.stderr)
        return 127 if isinstance(error, FileNotFoundError) else 126


def _end(child: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os._exit(0)


def _serve() -> int:
    from . import own_kernel
    from .node import Keeper

    own_kernel.forget()
    try:
        lab, name = given()
        if guest := own_kernel.choice(lab, name):
            own_kernel.hold(lab, name, guest, say)
            say("the guest kernel has ended; restart this container")
        else:
            Keeper(lab, name, say, links=_links()).keep()
    except LabError as error:
        for problem in error.problems:
            say(str(problem))
        if any(f"cannot read {FOLDER}/" in problem.text for problem in error.problems):
            say(f'what the lab reads has to be beside it here, too: bind its folder, as in binds: [".:{FOLDER}:ro"]')
        say(f"{len(error.problems)} problems in the lab: nothing was set up; mend its file and restart this container")
    except MnmplsError as error:
        say(str(error))
    except OSError as error:
        say(f"{error.filename or 'the container'}: {error.strerror}")
    return 1


def _links() -> int | None:
    """How many the runtime makes for this container, by Containerlab's word; fewer than the lab has with
    ``containerlab deploy --node-filter``, and too few when some were added later."""
    told = os.environ.get(LINKS, "")
    return int(told) if told.isdecimal() else None


def say(text: str) -> None:
    """Into ``docker logs``."""
    print(f"mnmpls: {text}", flush=True)


def given(folder: Path = FOLDER) -> tuple[Lab, str]:
    """The container's lab, completed, and the name of its node. Raises LabError, CheckFailed."""
    file = str(lab_file(folder))
    if unset := [each for each in dict.fromkeys(names(text_of(file))) if each not in os.environ]:
        say(f"not in this container's environment, though its lab asks for it: {', '.join(unset)}; give it by env:")
    lab = complete(load(file))
    name = os.environ.get(NAME) or socket.gethostname()
    known = [node.name for node in lab.nodes]
    if name not in known:
        source = NAME if os.environ.get(NAME) else "the container's hostname"
        raise CheckFailed(f"{source} is {name!r}, and lab {lab.name} has no such node; {nearest(name, known)}")
    return lab, name


def lab_file(folder: Path) -> Path:
    """Of the container. Raises CheckFailed."""
    for name in LAB_FILES:
        if (folder / name).exists():
            return folder / name
    others = sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")])
    if len(others) != 1:
        found = ", ".join(path.name for path in others) or "nothing"
        text = f"there is no lab in {folder} ({found} is there): bind one, as in"
        text = f'{text} binds: ["LAB.clab.yml:{folder}/{LAB_FILES[0]}:ro"]'
        raise CheckFailed(f"{text}; or give the container a command, such as mn --custom topos/l3vpn.py")
    return others[0]


if __name__ == "__main__":
    sys.exit(main())
