"""A lab of this Python process's own, which others on the machine can find while it lasts."""

from __future__ import annotations

from .. import registry
from ..errors import CheckFailed
from ..kernel_choice import ensure_kernel_for
from ..model import Lab
from ..netns import RunningLab
from ..plan.foreign import stood_in_for
from ..processes import require_exec_allowed
from .holder import usual_wait_s
from .serving import Door, answers_of


def run(lab: Lab, *, wait_s: float | None = None, allow_exec: bool = False, file: str = "") -> RunningLab:
    """``lab``, running and working; use it as a context manager, or ``close`` it. Where this kernel lacks what it
    needs, the program that calls this is started once more in a guest kernel that has it, and ends with its status.

    ``wait_s``: how long reachability may take, 0 not to look; left out: 30, or 90 with routing daemons. The nodes'
    ``exec`` lines run only with ``allow_exec``. ``mnmpls list`` shows the lab under its name, or the next free one.
    Raises LabError (nothing was made), KernelRefused, MissingFeature, and CheckFailed for a lab that does not work;
    nothing is left then.
    """
    require_exec_allowed(((node.name, line) for node in lab.nodes for line in node.exec), allow_exec)
    stood_in_for(lab)
    ensure_kernel_for(lab)
    running = RunningLab(lab)
    try:
        running.run_lines()
        problem = running.await_reach(usual_wait_s(lab) if wait_s is None else wait_s)
        if problem:
            raise CheckFailed(f"lab {lab.name}: {problem}")
        offer(running, file)
    except BaseException:
        running.close()
        raise
    return running


def offer(running: RunningLab, file: str) -> None:
    name, listener = registry.claim_free(running.lab.name)
    running.beside.callback(Door(listener, answers_of(name, "python", file, lambda: [running])).close)
