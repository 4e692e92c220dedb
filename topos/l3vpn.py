"""Two customers with the same addresses over one MPLS core: sudo mn --custom topos/l3vpn.py

Other sizes: --topo l3vpn,customers=3,sites=4,hosts=2,core=2
"""

from mnmpls.mn.custom import *  # noqa: F403  ours in the place of mn's
from mnmpls.mn.links import MPLSLink
from mnmpls.mn.nodes import CEHost, LabHost, LANBridge, MPLSRouter, PERouter
from mnmpls.mn.topo import LabTopo
from mnmpls.plan.sizes import l3vpn


class L3VPN(LabTopo):
    def build(self, *in_order, **sizes):
        if in_order or sizes:
            return self.add_lab(l3vpn(*in_order, **sizes))
        self.addHost("p", cls=MPLSRouter, loopback="none", platform_labels=10000)
        for n, far in ((1, 2), (2, 1)):
            vrfs = {f"vrf-pe{n}-c{c}": {"table": 10 * c, "rd": f"65000:{c}{n}", "rt": f"65000:{c}"} for c in (1, 2)}
            lsps = [{"path": [f"pe{n}", "p", f"pe{far}"], "labels": [100 * c + n, 100 * c + 10 + n],
                     "vrf": f"vrf-pe{far}-c{c}"} for c in (1, 2)]  # fmt: skip
            self.addHost(f"pe{n}", cls=PERouter, loopback="none", vrfs=vrfs, lsps=lsps)
        self.wire("pe1", "2.1.1.1/30", "p", "2.1.1.2/30")
        self.wire("p", "2.1.1.5/30", "pe2", "2.1.1.6/30")
        for c, site in ((1, 1), (1, 2), (2, 1), (2, 2)):
            ce, br, pe, net = f"c{c}e{site}", f"br{c}{site}", f"pe{site}", 2 * site - 1
            self.addHost(ce, cls=CEHost)
            self.addHost(br, cls=LANBridge)
            self.wire(ce, f"{net}.1.1.{site}/30", pe, f"{net}.1.1.{3 - site}/30", vrf=f"vrf-{pe}-c{c}")
            self.lan(ce, br, f"88.{site}.1.254/24")
            for h in (2 * site - 1, 2 * site):
                self.addHost(f"c{c}h{h}", cls=LabHost)
                self.lan(f"c{c}h{h}", br, f"88.{site}.1.{h}/24")

    def wire(self, a, ip_a, b, ip_b, vrf=None):
        self.addLink(a, b, cls=MPLSLink, intfName1=f"{a}-{b}-eth", intfName2=f"{b}-{a}-eth",
                     params1={"ip": ip_a}, params2={"ip": ip_b, "vrf": vrf})  # fmt: skip

    def lan(self, node, bridge, ip):
        self.addLink(node, bridge, cls=MPLSLink, intfName1=f"{node}-eth", intfName2=f"{bridge}-{node}-eth",
                     params1={"ip": ip}, params2={"ip": "none"})  # fmt: skip


topos = {"l3vpn": L3VPN, "minimal": L3VPN}
