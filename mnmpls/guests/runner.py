"""Runs one command in a guest kernel, as if it ran on the host: terminal or pipes, signals, exit status.

One process, one loop: the guest's line, its console, its end, our signals and the streams of the sessions.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from mnmpls.errors import GuestFailed
from mnmpls.guests import display, protocol, terminal
from mnmpls.guests.environment import WHY, guest_environment
from mnmpls.guests.guest import GRACE_S, Guest
from mnmpls.guests.machine import Backend, HostPort
from mnmpls.guests.session import Command, Session, opening
from mnmpls.guests.visitors import STREAMS, Offer, Visitor, Visitors, asked, size, text

MAIN = 1
STOP_S = 10.0
"""How long a command may take to end when it was told to."""
TICK_S = 0.5
PING_S = 2.0
SAVE_S = 20.0


@dataclass(frozen=True)
class Wish:
    """A guest to be started: ``writable`` are the host's folders that it writes through; ``lasting``: its main command
    goes on when nobody takes its output any more; ``ports`` as in Boot."""

    backend: Backend
    writable: tuple[str, ...]
    memory_mib: int
    lasting: bool = False
    ports: tuple[HostPort, ...] = ()


class Run:
    """The sessions in one guest. The main one, whose streams are our own, begins and ends with it; visitors, if any are
    invited, have one each."""

    def __init__(self, guest: Guest, what: Command, wish: Wish, offer: Offer | None) -> None:
        self.guest, self.what, self.wish, self.offer = guest, what, wish, offer
        self.visitors = Visitors(offer.listener) if offer else None
        self.waiting: list[tuple[Visitor, Mapping[str, Any]]] = []
        self.doomed: dict[int, float] = {}
        self.last = MAIN
        self.release = ""
        self.since = time.time()
        self.off: list[str] = []
        self.outgoing = bytearray()
        self.incoming = bytearray()
        self.unheard = 0
        self.sessions: dict[int, Session] = {}
        self.displays: dict[int, str] = {}
        self.status: int | None = None
        self.problem = ""
        self.lost: list[str] | None = None
        self.heard = self.pinged = self.ticked = time.monotonic()
        self.stop_at = self.end_at = float("inf")

    @property
    def opened(self) -> bool:
        return bool(self.release)

    # --- towards the guest

    def send(self, kind: int, session: int, data: bytes = b"") -> None:
        self.outgoing += protocol.frame(kind, session, data)

    def talk(self) -> None:
        try:
            sent = self.guest.line.send(self.outgoing[: self.guest.backend.line_bytes - self.unheard])
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):  # it ends: what it said before is still to be heard
            self.outgoing.clear()
            return
        del self.outgoing[:sent]
        self.unheard += sent

    def signal(self, session: int, number: int) -> None:
        self.send(protocol.SIGNAL, session, b"%d" % number)

    def resize(self, session: int, window: tuple[int, int]) -> None:
        self.send(protocol.SIZE, session, protocol.join([b"%d" % each for each in window]))

    def open(self, number: int, what: Command, streams: tuple[int, int, int], owned: tuple[int, ...] = ()) -> None:
        given = what.env.get("DISPLAY", "")
        offered = display.number(given)
        if offered is not None:
            if offered not in self.displays:
                self.send(protocol.DISPLAY, 0, b"%d" % offered)
            self.displays[offered] = given
            what = replace(what, env={**what.env, "DISPLAY": display.inside(given)})
        self.send(protocol.OPEN, number, opening(what))
        self.add(number, streams, owned)

    def add(self, number: int, streams: tuple[int, int, int], owned: tuple[int, ...]) -> None:
        spool = self.guest.spool if self.guest.backend.spools else None
        lasting = number == MAIN and self.wish.lasting
        self.sessions[number] = Session(number, streams, self.send, spool, owned, lasting)

    def hear_signal(self, number: int) -> None:
        if number == signal.SIGWINCH and self.opened and self.what.window:
            self.resize(MAIN, terminal.size())
        elif number in terminal.FORWARDED:
            self.pass_on(number)

    def pass_on(self, number: int) -> None:
        """Ctrl-C and its like are the command's business; before it runs, and for a second SIGTERM, they are ours."""
        if not self.opened or (self.stop_at < float("inf") and number != signal.SIGINT):
            raise Stopped(128 + number)
        self.signal(MAIN, number)
        if number in (signal.SIGTERM, signal.SIGHUP):
            self.stop_at = time.monotonic() + STOP_S
            self.end_at = self.stop_at

    # --- from the guest

    def hear_line(self) -> None:
        try:
            data = self.guest.line.recv(1 << 16)
        except BlockingIOError:
            return
        except ConnectionResetError:
            data = b""
        if not data:
            raise GuestGone
        self.heard = time.monotonic()
        self.incoming += data
        for kind, number, data in protocol.take(self.incoming):
            if kind == protocol.CALL:
                self.answer(number, int(data))
            elif number in self.sessions:
                self.sessions[number].hear(kind, data)
            else:
                self.hear(kind, data)

    def hear(self, kind: int, data: bytes) -> None:
        if kind == protocol.HEARD:
            self.unheard -= int(data)
        elif kind == protocol.READY:
            self.get_going(data.decode())
        elif kind == protocol.LOST:
            self.lost = [os.fsdecode(path) for path in protocol.split(data)]

    def get_going(self, release: str) -> None:
        self.release = release
        if self.what.env.get(WHY):
            where = f"running in a {self.guest.backend.title} guest, Linux {release}"
            print(f"mnmpls: {self.what.env[WHY]}; {where}", file=sys.stderr, flush=True)
        self.send(protocol.SETUP, 0, self.guest.set_up())
        stdin, stdout, stderr = (terminal.unblocked(os.dup(fd)) for fd in (0, 1, 2))
        self.open(MAIN, self.what, (stdin, stdout, stderr), (stdin, stdout, stderr))
        if self.what.window:
            terminal.give_all()
        for visitor, request in self.waiting:
            self.receive(visitor, request)
        self.waiting = []

    def answer(self, number: int, called: int) -> None:
        """A program in the guest calls the user's display; where nobody is there, the call ends at once."""
        try:
            fd = display.call(self.displays[called]).detach()
        except OSError:
            self.send(protocol.IN, number)
            return
        os.set_blocking(fd, False)
        self.add(number, (fd, fd, fd), (fd,))

    # --- visitors

    def receive(self, visitor: Visitor, said: Mapping[str, Any] | None) -> None:
        try:
            if said is None:
                self.lose(visitor)
            elif "about" in said:
                visitor.tell(self.about())
            elif "off" in said or "on" in said:
                off, on = (set(map(text, said.get(state, ()))) for state in ("off", "on"))
                self.off = sorted({*self.off, *off} - on)
                visitor.tell(self.about())
            elif "run" in said and not visitor.number:
                self.welcome(visitor, said)
            elif "signal" in said and visitor.number:
                self.signal(visitor.number, signal.Signals(said["signal"]))
            elif "size" in said and visitor.number:
                self.resize(visitor.number, size(said["size"]))
            else:
                visitor.refuse("this lab runs in a guest: only about, off, on and run are answered here", 1)
        except (ValueError, TypeError) as error:
            visitor.refuse(f"not understood: {error}", 1)

    def about(self) -> dict[str, Any]:
        assert self.offer
        kernel = f"{self.guest.backend.name}, {f'Linux {self.release}' if self.opened else 'starting'}"
        known = {"runtime": "guest", "kernel": kernel, "pid": os.getpid(), "since": self.since, "off": self.off}
        return {**known, "writable": self.wish.writable, **self.offer.about}

    def welcome(self, visitor: Visitor, request: Mapping[str, Any]) -> None:
        if not self.opened:
            self.waiting.append((visitor, request))
            return
        what = asked(request)
        if len(visitor.streams) != STREAMS:
            raise ValueError(f"a run wants {STREAMS} descriptors, there came {len(visitor.streams)}")
        self.last = visitor.number = self.last + 1
        streams = visitor.take_streams()
        what = replace(what, env=guest_environment(self.guest.backend.name, what.env))
        self.open(visitor.number, what, streams, streams)
        visitor.tell({"opened": True, "writable": self.wish.writable})

    def lose(self, visitor: Visitor) -> None:
        """With the visitor goes what was started; gently first."""
        assert self.visitors
        self.visitors.part(visitor)
        self.waiting = [(who, request) for who, request in self.waiting if who is not visitor]
        if visitor.number in self.sessions:
            self.sessions[visitor.number].mute()
            self.signal(visitor.number, signal.SIGHUP)
            self.doomed[visitor.number] = time.monotonic() + GRACE_S

    def see_off(self, session: Session) -> None:
        self.doomed.pop(session.number, None)
        visitor = self.visitors.of(session.number) if self.visitors else None
        if self.visitors and visitor:
            visitor.tell({"status": session.status})
            self.visitors.part(visitor)

    def tell_why(self, why: str) -> None:
        """To visitors, whose commands end with the guest: of a guest that stays nobody else may hear of it."""
        for visitor in self.visitors.present if self.visitors else ():
            visitor.tell({"why": why})

    def hear_rest(self) -> None:
        """What the guest said before its end and did not come in one piece."""
        with suppress(GuestGone):
            while self.opened and select.select([self.guest.line], [], [], 0)[0]:
                self.hear_line()

    def write_rest(self) -> None:
        """What the sessions' commands wrote before the guest's end, as long as somebody takes it."""
        while writes := [fd for session in self.sessions.values() for fd in session.writes]:
            if not (writable := select.select([], writes, [], GRACE_S)[1]):
                return
            for session in self.sessions.values():
                session.move((), writable)

    def close(self) -> None:
        for session in self.sessions.values():
            session.close()
        for visitor in list(self.visitors.present) if self.visitors else ():
            visitor.close()

    # --- the loop

    def interests(self, signals: int) -> tuple[list[int], list[int]]:
        line = self.guest.line.fileno()
        reads = [signals, self.guest.console_end, self.guest.pidfd, line]
        reads += self.visitors.reads if self.visitors else []
        if not self.outgoing:
            reads += [fd for session in self.sessions.values() for fd in session.reads]
        writes = [fd for session in self.sessions.values() for fd in session.writes]
        return reads, writes + ([line] if self.outgoing and self.unheard < self.guest.backend.line_bytes else [])

    def turn(self, signals: int) -> None:
        reads, writes = self.interests(signals)
        readable, writable, _ = select.select(reads, writes, [], TICK_S)
        if self.guest.line.fileno() in writable:
            self.talk()
        for session in list(self.sessions.values()):
            session.move(readable, writable)
        if self.guest.console_end in readable:
            self.guest.hear_console()
        if self.guest.line.fileno() in readable:
            self.hear_line()
        if self.guest.pidfd in readable:
            raise GuestGone
        if signals in readable:
            for number in os.read(signals, 64):
                self.hear_signal(number)
        if self.visitors:
            for visitor, said in self.visitors.hear(readable):
                self.receive(visitor, said)
        self.put_away()
        self.watch_time()

    def put_away(self) -> None:
        """Sessions that have ended; with the main one everything does, once the guest has written all back."""
        for session in [each for each in self.sessions.values() if each.finished]:
            session.close()
            del self.sessions[session.number]
            self.see_off(session)
            if session.number == MAIN:
                self.status, self.problem = session.status, session.problem
                if self.status:
                    words = session.last_words.decode(errors="replace").strip()
                    cause = self.guest.backend.explain(self.guest.console.decode(errors="replace"))
                    told = (f"what held it ended with status {self.status}", cause, words)
                    self.tell_why(":\n".join(filter(None, told)))
                self.send(protocol.END, 0)
                self.end_at = time.monotonic() + SAVE_S

    def watch_time(self) -> None:
        now = time.monotonic()
        if now - self.ticked > 5 * TICK_S:
            self.heard = now  # we were stopped: no fault of the guest
        self.ticked = now
        if self.opened and now - self.pinged > PING_S:
            self.send(protocol.PING, 0)
            self.pinged = now
        for number in [each for each, due in self.doomed.items() if now > due]:
            self.signal(number, signal.SIGKILL)
            del self.doomed[number]
        limit_s = self.guest.backend.hang_s if self.opened else self.guest.backend.boot_s
        if now - self.heard > limit_s:
            doing = "has not answered" if self.opened else "did not come up"
            kind = GuestFailed if self.opened else NotUp
            raise kind(f"{self.guest.backend.title} guest: the guest kernel {doing} for {limit_s:.0f} s and was ended")
        if now > self.end_at:
            raise Stopped(self.status if self.status is not None else 128 + signal.SIGTERM)

    def until_finished(self, signals: int) -> int:
        while self.lost is None:
            self.turn(signals)
        assert self.status is not None
        return self.status


class NotUp(GuestFailed):
    """The guest did not come up: nothing ran in it, so another one may be tried."""


class GuestGone(Exception):
    """The line is closed or the process has ended; ``Guest.why_gone`` knows more."""


class Stopped(Exception):
    """We were told to stop; the text is the exit status."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


def run(wish: Wish, what: Command, offer: Offer | None = None) -> int:
    """The command's exit status; raises NotUp when the guest did not start, GuestFailed when it did not live. From the
    main thread only: signals are ours meanwhile."""
    with terminal.signals() as signals, terminal.raw(what.window is not None):
        guest = Guest(wish.backend, wish.memory_mib, wish.writable, wish.ports)
        course = Run(guest, what, wish, offer)
        try:
            status = course.until_finished(signals)
        except Stopped as stopped:
            return stopped.status
        except GuestGone as gone:
            course.hear_rest()
            guest.kill()
            course.write_rest()
            course.tell_why(guest.why_gone())
            raise (GuestFailed if course.opened else NotUp)(guest.why_gone()) from gone
        except GuestFailed as failed:
            course.tell_why(str(failed))
            raise
        finally:
            guest.kill()
            course.close()
    if course.problem:
        print(f"mnmpls: the command's output could not be written: {course.problem}", file=sys.stderr)
    tell_lost(course.lost or [])
    return status


def tell_lost(paths: Sequence[str], shown: int = 10) -> None:
    if paths:
        more = f" and {len(paths) - shown} more" if len(paths) > shown else ""
        print(f"mnmpls: lost with the guest: {', '.join(paths[:shown])}{more}", file=sys.stderr)
