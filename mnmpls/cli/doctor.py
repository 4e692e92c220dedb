"""The verb that looks at the machine."""

from __future__ import annotations

import json
from argparse import Namespace

from .. import doctor
from ..plan import complete, records
from ..sources import load

_BOOT_S = 50.0
"""For each guest: QEMU without KVM takes about 20 s on a quiet machine."""


def verb_doctor(options: Namespace) -> int:
    lab = complete(load(options.lab)) if options.lab else None
    found = doctor.examine(lab, records(lab) if lab else None, _BOOT_S if options.boot else 0)
    print(json.dumps(found.data()) if options.json else found.text())
    return found.exit_code
