"""The planner: an open lab in, a complete one out; a complete lab in, records per node out. Pure: no root, no
kernel, no files, no chance; the same lab always gives the same plan."""

from __future__ import annotations

from ..errors import LabError, Problem
from ..model import Lab
from ..state import Record
from .addresses import addressed, with_gateways
from .assembly import assemble
from .check import problems, problems_of_meaning, problems_of_shape
from .check_links import MOST_MTU_BYTES
from .evpn import stretched
from .link_locals import with_link_locals
from .lsps import with_labels
from .mtus import sized
from .names import named
from .own import with_own_words
from .segments import with_sids
from .sizes import l3vpn
from .spoken import numbered
from .tunnels import underlaid
from .vrfs import identified

__all__ = ["complete", "l3vpn", "problems", "records"]


def complete(lab: Lab, widest_bytes: int = MOST_MTU_BYTES) -> Lab:
    """``lab`` with everything open filled in, and what was given kept; completing it again changes nothing. No wire's
    MTU that was open is greater than ``widest_bytes``. Raises LabError with every problem there is."""
    _refuse(problems_of_shape(lab))
    _refuse(problems_of_meaning(lab))
    done = underlaid(addressed(stretched(identified(with_sids(with_labels(numbered(with_own_words(named(lab)))))))))
    done = with_link_locals(with_gateways(done))
    whole = sized(done, widest_bytes)
    if done != lab or lab.has_tunnels:  # what was planned may not fit what is given
        _refuse(problems_of_meaning(whole))
    return whole


def _refuse(found: tuple[Problem, ...]) -> None:
    if found:
        raise LabError(found)


def records(lab: Lab) -> dict[str, frozenset[Record]]:
    """What must be true in each node's namespace, for a completed ``lab``. Raises LabError for what shows only in
    the routes: a link that lacks the IP version it would have to carry, labels that do not fit."""
    return assemble(lab)
