"""A backbone over rented machines: sudo mn --custom topos/ring.py --topo ring,tunnel=vxlan,addressing=unnumbered

topos/ring.yml is the first of its variants; this writes any: /usr/bin/python3 topos/ring.py tunnel=vxlan > vxlan.yml
"""

import sys

from mnmpls.errors import LabError
from mnmpls.mn.custom import *  # noqa: F403  ours in the place of mn's
from mnmpls.mn.topo import LabTopo
from mnmpls.plan.ring import ring
from mnmpls.sources.to_yaml import to_yaml


class Ring(LabTopo):
    def build(self, **variant):
        self.add_lab(ring(**variant))


topos = {"ring": Ring, "minimal": Ring}

if __name__ == "__main__":
    try:
        print(to_yaml(ring(**dict(word.partition("=")[::2] for word in sys.argv[1:]))), end="")
    except LabError as error:
        sys.exit(f"{sys.argv[0]}: {error}")
