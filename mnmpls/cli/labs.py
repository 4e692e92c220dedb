"""The verbs that start and end labs and use their nodes."""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
from argparse import Namespace
from contextlib import suppress
from dataclasses import asdict, replace

from .. import guests, kernel_choice, registry
from ..checks.intent import count, has_end_points, unasked
from ..errors import MnmplsError, UsageError, counted
from ..export.plan_text import unnumbered
from ..export.table import table
from ..live import finding, holder
from ..model import Lab
from ..plan import complete
from ..plan.foreign import stood_in_for
from ..processes import require_exec_allowed, shown
from ..sources import data, from_data, load
from .naming import DOCKER, about, again_inside, boxes, in_docker, name_of, running

_AWAITED = "MNMPLS_AWAITED"
"""Environment of ``up`` in a guest: somebody outside waits for guests.READY, since when (seconds since the epoch)."""


def verb_up(options: Namespace) -> int:
    began = float(os.environ.get(_AWAITED) or time.time())
    in_docker = options.runtime == DOCKER
    lab = boxes().lab_of(options) if in_docker else complete(load(options.file))
    lab = replace(lab, name=options.name or lab.name)
    stand_ins = "" if in_docker else stood_in_for(lab)
    exec_lines = _exec_allowed(lab, options.allow_exec)
    if options.wait is None:
        options.wait = holder.usual_wait_s(lab)
    if in_docker:
        problem = boxes().up(lab, options, exec_lines)
        _say_up(lab, problem, options, time.time() - began)
        return 1 if problem else 0
    choice = kernel_choice.choice_for(lab, options.kernel)
    if choice.name != "host":
        return _up_in_guest(choice, lab, options, exec_lines, began)
    if stand_ins:
        print(f"{lab.name}: {stand_ins}", file=sys.stderr, flush=True)
    with registry.claim(lab.name) as listener:
        what = holder.Options(os.path.realpath(options.file), options.wait, exec_lines, options.netns)

        def say(problem: str) -> None:
            _end_limit()
            _say_up(lab, problem, options, time.time() - began)

        if options.foreground:
            holder.hold(lab, lab.name, listener, what, say)
            return 0
        problem = holder.start(lab, lab.name, listener, what)
    say(problem)
    return 1 if problem else 0


def _end_limit() -> None:
    """The start of a lab has a time limit (cli/__init__.py), the lab has none."""
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, lambda *_: None)  # not ignored: what is started would ignore it as well


def _up_in_guest(choice: guests.Choice, lab: Lab, options: Namespace, exec_lines: bool, began: float) -> int:
    """The same in a guest: there the lab stays in the foreground, and it is the guest that stays or not."""
    words = ["up", os.path.realpath(options.file), "--name", lab.name, "--foreground", "--wait", f"{options.wait:g}"]
    words += ["--timeout", f"{options.timeout:g}"]
    switches = {"--json": options.json, "--netns": options.netns, "--allow-exec": exec_lines}
    argv = [sys.executable, "-m", "mnmpls", *words, *(switch for switch, on in switches.items() if on)]
    about = {"name": lab.name, "file": os.path.realpath(options.file), "nodes": len(lab.nodes)}
    with registry.claim(lab.name) as listener:
        offer = guests.Offer(listener, about)
        env = {guests.WHY: choice.why}
        if options.foreground:
            _end_limit()  # that of the one inside counts
            return guests.run(choice, argv, env, offer=offer)
        try:
            _, status = guests.start(choice, argv, offer, {**env, _AWAITED: str(began)})
        except SystemExit as ended:
            if ended.code != 128 + signal.SIGKILL:  # else it has told itself why
                raise
            raise MnmplsError(holder.without_a_word(-signal.SIGKILL)) from ended
    return status


def _say_up(lab: Lab, problem: str, options: Namespace, seconds: float) -> None:
    if options.json:
        told = {"name": lab.name, "nodes": len(lab.nodes), "works": not problem if options.wait else None}
        print(json.dumps({**told, "problem": problem, "seconds": round(seconds, 3)}), flush=True)
    elif problem:
        print(f"mnmpls: {lab.name} is up, but {problem}", file=sys.stderr, flush=True)
    else:
        proven = f"; {_known(lab)}" if options.wait else ""
        are = "is" if len(lab.nodes) == 1 else "are"
        print(f"{lab.name}: {counted(len(lab.nodes), 'node')} {are} up after {seconds:.1f} s{proven}", flush=True)
        for warning in unnumbered(lab):
            print(f"{lab.name}: {warning}", file=sys.stderr, flush=True)
    if os.environ.get(_AWAITED):
        print(guests.READY, int(bool(problem)), flush=True)


def _known(lab: Lab) -> str:
    """What has been seen when nothing was wrong."""
    if unasked(lab):
        asked = "everybody reaches whom the lab means to" if count(lab) else "nobody was asked"
        return f"{asked}: it does not tell all of what own configurations let through"
    if has_end_points(lab):
        return "everybody reaches whom the lab means to, and nobody else"
    return "all nodes answer each other as their routes say" if count(lab) else "no two nodes with addresses to ask"


def _exec_allowed(lab: Lab, allowed: bool) -> bool:
    """Shows the command lines in the lab file, and whether there are any that may be run: with --allow-exec, or if the
    person at the terminal says so. Raises CheckFailed when they may not: half a lab is no lab."""
    lines = [(node.name, line) for node in lab.nodes for line in node.exec]
    if not lines:
        return False
    if not allowed and sys.stdin.isatty() and sys.stderr.isatty():
        told = (f"  {shown(node, line)}" for node, line in lines)
        print("this lab wants to run in its nodes, with your rights:", *told, sep="\n", file=sys.stderr)
        print("run them? [y/N] ", end="", file=sys.stderr, flush=True)
        allowed = sys.stdin.readline().strip().lower() in ("y", "yes")
    require_exec_allowed(lines, allowed)
    return True


def verb_down(options: Namespace) -> int:
    names = registry.names() if options.all else [name_of(each) for each in options.lab]
    if not names and not options.all:
        raise UsageError("down: which lab? Say its name or --all; `mnmpls list` shows those that run")
    for name in names:
        if name not in registry.names() and name in in_docker():
            boxes().down(name)
            print(f"{name} is down")
            continue
        try:
            pid, runtime = registry.owner(name), _runtime(name)
        except registry.NotRunning:
            if not options.all:
                raise
            continue  # it has ended by itself
        if runtime == "mininet":
            if not options.all:
                raise UsageError(f"lab {name!r} belongs to mn (process {pid}): end it at its prompt, with exit")
            continue
        _end(name, pid, runtime, options.timeout or 60)
        print(f"{name} is down")
    return 0


def _runtime(name: str) -> str:
    """What the owner says; nothing if it is silent."""
    try:
        return finding.about(name).runtime
    except MnmplsError:
        return ""


def _end(name: str, pid: int, runtime: str, limit_s: float) -> None:
    """Ask the owner to end; if it does not, the kernel ends it, and all of the lab with it."""
    try:
        owner = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if runtime == finding.GUEST:
            _send(owner, signal.SIGTERM)
        elif runtime:
            with suppress(MnmplsError):
                registry.ask(name, {"down": True}, limit_s / 2)
        if not runtime or not select.select([owner], [], [], limit_s / 2)[0]:
            _send(owner, signal.SIGKILL)
            select.select([owner], [], [], limit_s / 2)
    finally:
        os.close(owner)


def _send(owner: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has ended by itself
        signal.pidfd_send_signal(owner, number)


def verb_list(options: Namespace) -> int:
    labs, silent = running()
    if options.json:
        print(json.dumps([asdict(each) for each in labs]))
    elif labs:
        rows = [
            (each.name, _nodes(each), each.runtime, each.kernel, _ago(each.since), str(each.pid or "-"), each.file)
            for each in labs
        ]
        print(table(("NAME", "NODES", "RUNTIME", "KERNEL", "UP", "PID", "FILE"), rows))
    else:
        print("no lab runs here", file=sys.stderr)
    for problem in silent:
        print(f"mnmpls: {problem}", file=sys.stderr)
    return 1 if silent else 0


def _nodes(about: finding.About) -> str:
    return f"{about.nodes} ({', '.join(about.off)} off)" if about.off else str(about.nodes)


def _ago(since: float) -> str:
    seconds = int(max(0, time.time() - since))
    hours, minutes = seconds // 3600, seconds // 60 % 60
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{seconds % 60:02}s"


def verb_stop(options: Namespace) -> int:
    return _switch(options, "off")


def verb_start(options: Namespace) -> int:
    return _switch(options, "on")


def _switch(options: Namespace, state: str) -> int:
    name = name_of(options.lab)
    of = about(name)
    if of.runtime == finding.GUEST:
        status = again_inside(name, [options.verb, name, *options.nodes])
        if not status:
            registry.ask(name, {state: options.nodes})
        return status
    for node in options.nodes:
        if of.runtime == DOCKER:
            getattr(boxes(), options.verb)(name, node)
        else:
            registry.ask(name, {options.verb: node}, options.timeout or 1e6)
        print(f"{name}: {node} is {state}", flush=True)
    return 0


def verb_apply(options: Namespace) -> int:
    name = name_of(options.lab)
    of = about(name)
    file = options.file or of.file
    if not file:
        raise UsageError(f"lab {name!r} was not started from a file: say which file it shall be like")
    if of.runtime == DOCKER:
        done = boxes().apply(name, file)
    else:
        wanted = from_data(json.load(sys.stdin)) if file == "-" else load(file)
        lab = replace(complete(wanted), name=name)
        if of.runtime == finding.GUEST:
            words = ["apply", name, "-", *(["--json"] if options.json else [])]
            return again_inside(name, words, json.dumps(data(lab)))
        done = registry.ask(name, {"apply": data(lab)}, options.timeout or 1e6)["nodes"]
    if options.json:
        print(json.dumps(done))
        return 0
    for node, work in done.items():
        for sign, lines in (("-", work["removed"]), ("+", work["written"])):
            for line in lines:
                print(f"{node}: {sign} {line}")
    print(f"{name}: {'as the file says' if done else 'nothing to do'}")
    return 0
