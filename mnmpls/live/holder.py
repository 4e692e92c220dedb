"""The one process that owns a lab started by ``mnmpls up``: while it lives the lab lives."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, NoReturn

from .. import registry
from ..errors import MnmplsError
from ..model import Lab
from ..netns import RunningLab
from ..processes import dying_with_us, outlive_parent
from ..sources import from_data
from ..wording import words
from .ipnetns import Published
from .serving import Served, answer, answers_of

_WATCH_S = 5.0


@dataclass(frozen=True, slots=True)
class Options:
    """``wait_s``: how long reachability may take, 0 not to look. ``exec_lines``: run the nodes' own command lines.
    ``netns``: show the nodes to ip(8)."""

    file: str = ""
    wait_s: float = 30.0
    exec_lines: bool = False
    netns: bool = False


class Holder:
    """A lab that is up, with its name and everything that was made for it."""

    def __init__(self, lab: Lab, name: str, listener: socket.socket, options: Options) -> None:
        self.options, self.listener, self.ending = options, listener, False
        self.running = RunningLab(lab)
        try:
            self.published = Published(name, self.running.namespaces) if options.netns else None
            if options.exec_lines:
                self.running.run_lines()
            self.answers = answers_of(name, "namespaces", options.file, self._parts)
            self.answers.update(apply=self._change, down=self._down)
        except BaseException:
            self.running.close()
            raise

    def _parts(self) -> list[Served]:
        return [self.running]

    def _change(self, request: Mapping[str, Any]) -> dict[str, Any]:
        done = self.running.change(from_data(request["apply"]))
        if self.published:
            self.published.show(self.running.namespaces)
        return {
            "nodes": {
                node: {"removed": list(map(words, work.remove)), "written": list(map(words, work.write))}
                for node, work in done.items()
                if work
            }
        }

    def _down(self, _: Mapping[str, Any]) -> dict[str, Any]:
        self.ending = True
        self.close()
        return {}

    def serve(self) -> None:
        """Until somebody takes the lab down. A signal may end this process at any time: the kernel clears up."""
        with self.listener:
            while not self.ending:
                if select.select([self.listener], [], [], _WATCH_S)[0]:
                    answer(self.listener, self.answers)
                if self.published:
                    self.published.keep()

    def close(self) -> None:
        if self.published:
            self.published.close()
        self.running.close()


def usual_wait_s(lab: Lab) -> float:
    """How long a lab may take until everybody reaches whom it means to."""
    return 90.0 if lab.has_daemons or lab.has_own else 30.0


def hold(lab: Lab, name: str, listener: socket.socket, options: Options, ready: Callable[[str], None]) -> None:
    """Bring the lab up in this process, call ``ready`` when it is (with why it does not work, or nothing if it does),
    and hold it until its end. Raises what RunningLab raises; nothing is left then."""
    with closing(Holder(lab, name, listener, options)) as holder:
        listener.listen()
        ready(holder.running.await_reach(options.wait_s, lambda text: print(f"{name}: {text}", file=sys.stderr)))
        holder.serve()


def start(lab: Lab, name: str, listener: socket.socket, options: Options) -> str:
    """The same in a process of its own, which outlives this one once the lab is up. Returns what ``ready`` was given;
    raises MnmplsError when the lab did not come up."""
    hear, tell = os.pipe2(os.O_CLOEXEC)
    with dying_with_us() as die_with_us:
        holder = os.fork()
        if holder == 0:
            os.close(hear)
            _be_holder(lab, name, listener, options, tell, die_with_us)
    os.close(tell)
    listener.close()
    try:
        with open(hear, encoding="utf-8") as heard:
            said = json.loads(heard.read() or "null")
    except BaseException:
        os.kill(holder, signal.SIGKILL)
        os.waitpid(holder, 0)
        raise
    if said is None:
        raise MnmplsError(without_a_word(os.waitstatus_to_exitcode(os.waitpid(holder, 0)[1])))
    if "error" in said:
        raise registry.remote(said)
    return str(said["ready"])


def without_a_word(status: int) -> str:
    """Why the holder said nothing: the kernel kills by SIGKILL when memory runs out."""
    if status == -signal.SIGKILL:
        return "the lab's holder was killed (too little memory? MNMPLS_MEMORY_MIB gives a guest more)"
    by = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
    return f"the lab's holder ended {by}, and the lab with it"


def _be_holder(
    lab: Lab, name: str, listener: socket.socket, options: Options, tell: int, die_with_parent: Callable[[], None]
) -> NoReturn:
    def say(what: Mapping[str, Any]) -> None:
        with suppress(OSError), open(tell, "w", encoding="utf-8") as line:
            json.dump(what, line)

    def ready(problem: str) -> None:
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(quiet, stream)
        os.close(quiet)
        outlive_parent()
        say({"ready": problem})

    status = 1
    try:
        die_with_parent()
        os.setsid()
        os.chdir("/")
        hold(lab, name, listener, options, ready)
        status = 0
    except MnmplsError as error:
        say(registry.problem(error))
    except OSError as error:  # too many open files, no memory: nothing was left of the lab
        say(registry.problem(MnmplsError(f"the lab did not come up: {error.strerror or error}")))
    finally:
        os._exit(status)
