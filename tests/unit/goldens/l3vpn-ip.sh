#!/bin/bash
# The lab 'l3vpn' by hand: 19 network namespaces and the 18 wires between them.
#   set it up:      sudo bash FILE   (the names of its nodes must be free: ip netns list)
#   be in a node:   sudo ip netns exec NODE bash
#   take it down:   the last line tells
# These routes, and no others: ip route show table all proto 201
set -e  # ends at the first command that fails

# What the kernel needs for it. Where it is built in there is nothing to load, which is no error.
modprobe -qa bridge vrf mpls_router mpls_iptunnel || true

# Every node is a network namespace: interfaces, addresses and routes of its own.
ip netns add p
ip netns add pe1
ip netns add pe2
ip netns add c1e1
ip netns add c1e2
ip netns add c2e1
ip netns add c2e2
ip netns add br11
ip netns add br12
ip netns add br21
ip netns add br22
ip netns add c1h1
ip netns add c1h2
ip netns add c1h3
ip netns add c1h4
ip netns add c2h1
ip netns add c2h2
ip netns add c2h3
ip netns add c2h4

# Every wire is a veth pair: what goes in at one end comes out at the other.
ip link add name pe1-p-eth mtu 1504 netns pe1 type veth peer name p-pe1-eth mtu 1504 netns p
ip link add name p-pe2-eth mtu 1504 netns p type veth peer name pe2-p-eth mtu 1504 netns pe2
ip link add name c1e1-pe1-eth mtu 1500 netns c1e1 type veth peer name pe1-c1e1-eth mtu 1500 netns pe1
ip link add name c1e1-eth mtu 1500 netns c1e1 type veth peer name br11-c1e1-eth mtu 1500 netns br11
ip link add name c1h1-eth mtu 1500 netns c1h1 type veth peer name br11-c1h1-eth mtu 1500 netns br11
ip link add name c1h2-eth mtu 1500 netns c1h2 type veth peer name br11-c1h2-eth mtu 1500 netns br11
ip link add name c1e2-pe2-eth mtu 1500 netns c1e2 type veth peer name pe2-c1e2-eth mtu 1500 netns pe2
ip link add name c1e2-eth mtu 1500 netns c1e2 type veth peer name br12-c1e2-eth mtu 1500 netns br12
ip link add name c1h3-eth mtu 1500 netns c1h3 type veth peer name br12-c1h3-eth mtu 1500 netns br12
ip link add name c1h4-eth mtu 1500 netns c1h4 type veth peer name br12-c1h4-eth mtu 1500 netns br12
ip link add name c2e1-pe1-eth mtu 1500 netns c2e1 type veth peer name pe1-c2e1-eth mtu 1500 netns pe1
ip link add name c2e1-eth mtu 1500 netns c2e1 type veth peer name br21-c2e1-eth mtu 1500 netns br21
ip link add name c2h1-eth mtu 1500 netns c2h1 type veth peer name br21-c2h1-eth mtu 1500 netns br21
ip link add name c2h2-eth mtu 1500 netns c2h2 type veth peer name br21-c2h2-eth mtu 1500 netns br21
ip link add name c2e2-pe2-eth mtu 1500 netns c2e2 type veth peer name pe2-c2e2-eth mtu 1500 netns pe2
ip link add name c2e2-eth mtu 1500 netns c2e2 type veth peer name br22-c2e2-eth mtu 1500 netns br22
ip link add name c2h3-eth mtu 1500 netns c2h3 type veth peer name br22-c2h3-eth mtu 1500 netns br22
ip link add name c2h4-eth mtu 1500 netns c2h4 type veth peer name br22-c2h4-eth mtu 1500 netns br22

# ---- p, core router: it sees labels, and nothing of the customers
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n p link set dev lo mtu 65536 up
# the wires' ends: up
ip -n p link set dev p-pe1-eth mtu 1504 up
ip -n p link set dev p-pe2-eth mtu 1504 up
# whether it passes on what is not for itself (first: it sets other IPv4 settings back)
ip netns exec p sysctl -qw net.ipv4.ip_forward=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec p sysctl -qw net.ipv4.conf.all.rp_filter=0
# a router for IPv6 as well
ip netns exec p sysctl -qw net.ipv6.conf.all.forwarding=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec p sysctl -qw net.ipv4.conf.default.rp_filter=0
ip netns exec p sysctl -qw net.ipv4.conf.p-pe1-eth.rp_filter=0
ip netns exec p sysctl -qw net.ipv4.conf.p-pe2-eth.rp_filter=0
# labels are taken from the core, never from a customer (RFC 4364 13.1)
ip netns exec p sysctl -qw net.mpls.conf.p-pe1-eth.input=1
ip netns exec p sysctl -qw net.mpls.conf.p-pe2-eth.input=1
# what labels begin with that do not go on with the packet's TTL
ip netns exec p sysctl -qw net.mpls.default_ttl=255
# whether labels go on with the packet's TTL (1), or hide the hops of the core (0)
ip netns exec p sysctl -qw net.mpls.ip_ttl_propagate=1
# labels below this number may be used; a new namespace takes none at all
ip netns exec p sysctl -qw net.mpls.platform_labels=10000
# a link's address brings its subnet's route along
ip -n p address add 2.1.1.2/30 dev p-pe1-eth
ip -n p address add 2.1.1.5/30 dev p-pe2-eth
# label 101 becomes 111, on to pe2, VRF vrf-pe2-c1 (RFC 3031 3.10)
ip -n p -f mpls route add 101 as 111 via inet 2.1.1.6 dev p-pe2-eth proto 201
# label 102 becomes 112, on to pe1, VRF vrf-pe1-c1 (RFC 3031 3.10)
ip -n p -f mpls route add 102 as 112 via inet 2.1.1.1 dev p-pe1-eth proto 201
# label 201 becomes 211, on to pe2, VRF vrf-pe2-c2 (RFC 3031 3.10)
ip -n p -f mpls route add 201 as 211 via inet 2.1.1.6 dev p-pe2-eth proto 201
# label 202 becomes 212, on to pe1, VRF vrf-pe1-c2 (RFC 3031 3.10)
ip -n p -f mpls route add 202 as 212 via inet 2.1.1.1 dev p-pe1-eth proto 201

# ---- pe1, provider edge router: it keeps its customers apart in VRFs
# VRF vrf-pe1-c1: its routes are in table 10; RD 65000:11, imports 65000:1, exports 65000:1 (RFC 4364 4)
ip -n pe1 link add name vrf-pe1-c1 up type vrf table 10
# VRF vrf-pe1-c2: its routes are in table 20; RD 65000:21, imports 65000:2, exports 65000:2 (RFC 4364 4)
ip -n pe1 link add name vrf-pe1-c2 up type vrf table 20
# what comes in here is looked up in vrf-pe1-c1's table
ip -n pe1 link set dev pe1-c1e1-eth master vrf-pe1-c1
# what comes in here is looked up in vrf-pe1-c2's table
ip -n pe1 link set dev pe1-c2e1-eth master vrf-pe1-c2
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n pe1 link set dev lo mtu 65536 up
# the wires' ends: up
ip -n pe1 link set dev pe1-c1e1-eth mtu 1500 up
ip -n pe1 link set dev pe1-c2e1-eth mtu 1500 up
ip -n pe1 link set dev pe1-p-eth mtu 1504 up
# whether it passes on what is not for itself (first: it sets other IPv4 settings back)
ip netns exec pe1 sysctl -qw net.ipv4.ip_forward=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec pe1 sysctl -qw net.ipv4.conf.all.rp_filter=0
# a router for IPv6 as well
ip netns exec pe1 sysctl -qw net.ipv6.conf.all.forwarding=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec pe1 sysctl -qw net.ipv4.conf.default.rp_filter=0
ip netns exec pe1 sysctl -qw net.ipv4.conf.pe1-c1e1-eth.rp_filter=0
ip netns exec pe1 sysctl -qw net.ipv4.conf.pe1-c2e1-eth.rp_filter=0
ip netns exec pe1 sysctl -qw net.ipv4.conf.pe1-p-eth.rp_filter=0
ip netns exec pe1 sysctl -qw net.ipv4.conf.vrf-pe1-c1.rp_filter=0
ip netns exec pe1 sysctl -qw net.ipv4.conf.vrf-pe1-c2.rp_filter=0
# labels are taken from the core, never from a customer (RFC 4364 13.1)
ip netns exec pe1 sysctl -qw net.mpls.conf.pe1-p-eth.input=1
# what labels begin with that do not go on with the packet's TTL
ip netns exec pe1 sysctl -qw net.mpls.default_ttl=255
# whether labels go on with the packet's TTL (1), or hide the hops of the core (0)
ip netns exec pe1 sysctl -qw net.mpls.ip_ttl_propagate=1
# labels below this number may be used; a new namespace takes none at all
ip netns exec pe1 sysctl -qw net.mpls.platform_labels=10000
# a link's address brings its subnet's route along (in vrf-pe1-c1's table)
ip -n pe1 address add 1.1.1.2/30 dev pe1-c1e1-eth
# a link's address brings its subnet's route along (in vrf-pe1-c2's table)
ip -n pe1 address add 1.1.1.2/30 dev pe1-c2e1-eth
# a link's address brings its subnet's route along
ip -n pe1 address add 2.1.1.1/30 dev pe1-p-eth
# vrf-pe1-c1: a miss ends here instead of in the main table (Documentation/networking/vrf.rst)
ip -n pe1 route add unreachable default table 10 metric 4278198272 proto 201
ip -n pe1 -6 route add unreachable default table 10 metric 4278198272 proto 201
# vrf-pe1-c2: a miss ends here instead of in the main table (Documentation/networking/vrf.rst)
ip -n pe1 route add unreachable default table 20 metric 4278198272 proto 201
ip -n pe1 -6 route add unreachable default table 20 metric 4278198272 proto 201
# vrf-pe1-c1: label 101 leads to pe2, VRF vrf-pe2-c1, by way of p (RFC 4364 5)
ip -n pe1 route add 3.1.1.0/30 table 10 encap mpls 101 via 2.1.1.2 dev pe1-p-eth proto 201
# vrf-pe1-c1: behind c1e1
ip -n pe1 route add 88.1.1.0/24 table 10 via 1.1.1.1 dev pe1-c1e1-eth proto 201
# vrf-pe1-c1: label 101 leads to pe2, VRF vrf-pe2-c1, by way of p (RFC 4364 5)
ip -n pe1 route add 88.2.1.0/24 table 10 encap mpls 101 via 2.1.1.2 dev pe1-p-eth proto 201
# vrf-pe1-c2: label 201 leads to pe2, VRF vrf-pe2-c2, by way of p (RFC 4364 5)
ip -n pe1 route add 3.1.1.0/30 table 20 encap mpls 201 via 2.1.1.2 dev pe1-p-eth proto 201
# vrf-pe1-c2: behind c2e1
ip -n pe1 route add 88.1.1.0/24 table 20 via 1.1.1.1 dev pe1-c2e1-eth proto 201
# vrf-pe1-c2: label 201 leads to pe2, VRF vrf-pe2-c2, by way of p (RFC 4364 5)
ip -n pe1 route add 88.2.1.0/24 table 20 encap mpls 201 via 2.1.1.2 dev pe1-p-eth proto 201
# behind p
ip -n pe1 route add 2.1.1.4/30 via 2.1.1.2 dev pe1-p-eth proto 201
# label 112 ends here: popped, and looked up in vrf-pe1-c1 (RFC 4364 5)
ip -n pe1 -f mpls route add 112 dev vrf-pe1-c1 proto 201
# label 212 ends here: popped, and looked up in vrf-pe1-c2 (RFC 4364 5)
ip -n pe1 -f mpls route add 212 dev vrf-pe1-c2 proto 201

# ---- pe2, provider edge router: it keeps its customers apart in VRFs
# VRF vrf-pe2-c1: its routes are in table 10; RD 65000:12, imports 65000:1, exports 65000:1 (RFC 4364 4)
ip -n pe2 link add name vrf-pe2-c1 up type vrf table 10
# VRF vrf-pe2-c2: its routes are in table 20; RD 65000:22, imports 65000:2, exports 65000:2 (RFC 4364 4)
ip -n pe2 link add name vrf-pe2-c2 up type vrf table 20
# what comes in here is looked up in vrf-pe2-c1's table
ip -n pe2 link set dev pe2-c1e2-eth master vrf-pe2-c1
# what comes in here is looked up in vrf-pe2-c2's table
ip -n pe2 link set dev pe2-c2e2-eth master vrf-pe2-c2
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n pe2 link set dev lo mtu 65536 up
# the wires' ends: up
ip -n pe2 link set dev pe2-c1e2-eth mtu 1500 up
ip -n pe2 link set dev pe2-c2e2-eth mtu 1500 up
ip -n pe2 link set dev pe2-p-eth mtu 1504 up
# whether it passes on what is not for itself (first: it sets other IPv4 settings back)
ip netns exec pe2 sysctl -qw net.ipv4.ip_forward=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec pe2 sysctl -qw net.ipv4.conf.all.rp_filter=0
# a router for IPv6 as well
ip netns exec pe2 sysctl -qw net.ipv6.conf.all.forwarding=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec pe2 sysctl -qw net.ipv4.conf.default.rp_filter=0
ip netns exec pe2 sysctl -qw net.ipv4.conf.pe2-c1e2-eth.rp_filter=0
ip netns exec pe2 sysctl -qw net.ipv4.conf.pe2-c2e2-eth.rp_filter=0
ip netns exec pe2 sysctl -qw net.ipv4.conf.pe2-p-eth.rp_filter=0
ip netns exec pe2 sysctl -qw net.ipv4.conf.vrf-pe2-c1.rp_filter=0
ip netns exec pe2 sysctl -qw net.ipv4.conf.vrf-pe2-c2.rp_filter=0
# labels are taken from the core, never from a customer (RFC 4364 13.1)
ip netns exec pe2 sysctl -qw net.mpls.conf.pe2-p-eth.input=1
# what labels begin with that do not go on with the packet's TTL
ip netns exec pe2 sysctl -qw net.mpls.default_ttl=255
# whether labels go on with the packet's TTL (1), or hide the hops of the core (0)
ip netns exec pe2 sysctl -qw net.mpls.ip_ttl_propagate=1
# labels below this number may be used; a new namespace takes none at all
ip netns exec pe2 sysctl -qw net.mpls.platform_labels=10000
# a link's address brings its subnet's route along (in vrf-pe2-c1's table)
ip -n pe2 address add 3.1.1.1/30 dev pe2-c1e2-eth
# a link's address brings its subnet's route along (in vrf-pe2-c2's table)
ip -n pe2 address add 3.1.1.1/30 dev pe2-c2e2-eth
# a link's address brings its subnet's route along
ip -n pe2 address add 2.1.1.6/30 dev pe2-p-eth
# vrf-pe2-c1: a miss ends here instead of in the main table (Documentation/networking/vrf.rst)
ip -n pe2 route add unreachable default table 10 metric 4278198272 proto 201
ip -n pe2 -6 route add unreachable default table 10 metric 4278198272 proto 201
# vrf-pe2-c2: a miss ends here instead of in the main table (Documentation/networking/vrf.rst)
ip -n pe2 route add unreachable default table 20 metric 4278198272 proto 201
ip -n pe2 -6 route add unreachable default table 20 metric 4278198272 proto 201
# vrf-pe2-c1: label 102 leads to pe1, VRF vrf-pe1-c1, by way of p (RFC 4364 5)
ip -n pe2 route add 1.1.1.0/30 table 10 encap mpls 102 via 2.1.1.5 dev pe2-p-eth proto 201
ip -n pe2 route add 88.1.1.0/24 table 10 encap mpls 102 via 2.1.1.5 dev pe2-p-eth proto 201
# vrf-pe2-c1: behind c1e2
ip -n pe2 route add 88.2.1.0/24 table 10 via 3.1.1.2 dev pe2-c1e2-eth proto 201
# vrf-pe2-c2: label 202 leads to pe1, VRF vrf-pe1-c2, by way of p (RFC 4364 5)
ip -n pe2 route add 1.1.1.0/30 table 20 encap mpls 202 via 2.1.1.5 dev pe2-p-eth proto 201
ip -n pe2 route add 88.1.1.0/24 table 20 encap mpls 202 via 2.1.1.5 dev pe2-p-eth proto 201
# vrf-pe2-c2: behind c2e2
ip -n pe2 route add 88.2.1.0/24 table 20 via 3.1.1.2 dev pe2-c2e2-eth proto 201
# behind p
ip -n pe2 route add 2.1.1.0/30 via 2.1.1.5 dev pe2-p-eth proto 201
# label 111 ends here: popped, and looked up in vrf-pe2-c1 (RFC 4364 5)
ip -n pe2 -f mpls route add 111 dev vrf-pe2-c1 proto 201
# label 211 ends here: popped, and looked up in vrf-pe2-c2 (RFC 4364 5)
ip -n pe2 -f mpls route add 211 dev vrf-pe2-c2 proto 201

# ---- c1e1, customer's edge router: it knows nothing of VPNs and labels
# the wires' ends: up
ip -n c1e1 link set dev c1e1-eth mtu 1500 up
ip -n c1e1 link set dev c1e1-pe1-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c1e1 link set dev lo mtu 65536 up
# whether it passes on what is not for itself (first: it sets other IPv4 settings back)
ip netns exec c1e1 sysctl -qw net.ipv4.ip_forward=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec c1e1 sysctl -qw net.ipv4.conf.all.rp_filter=0
# a router for IPv6 as well
ip netns exec c1e1 sysctl -qw net.ipv6.conf.all.forwarding=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec c1e1 sysctl -qw net.ipv4.conf.default.rp_filter=0
ip netns exec c1e1 sysctl -qw net.ipv4.conf.c1e1-eth.rp_filter=0
ip netns exec c1e1 sysctl -qw net.ipv4.conf.c1e1-pe1-eth.rp_filter=0
# a link's address brings its subnet's route along
ip -n c1e1 address add 88.1.1.254/24 dev c1e1-eth
ip -n c1e1 address add 1.1.1.1/30 dev c1e1-pe1-eth
# everything else goes to pe1
ip -n c1e1 route add default via 1.1.1.2 dev c1e1-pe1-eth proto 201

# ---- c1e2, customer's edge router: it knows nothing of VPNs and labels
# the wires' ends: up
ip -n c1e2 link set dev c1e2-eth mtu 1500 up
ip -n c1e2 link set dev c1e2-pe2-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c1e2 link set dev lo mtu 65536 up
# whether it passes on what is not for itself (first: it sets other IPv4 settings back)
ip netns exec c1e2 sysctl -qw net.ipv4.ip_forward=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec c1e2 sysctl -qw net.ipv4.conf.all.rp_filter=0
# a router for IPv6 as well
ip netns exec c1e2 sysctl -qw net.ipv6.conf.all.forwarding=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec c1e2 sysctl -qw net.ipv4.conf.default.rp_filter=0
ip netns exec c1e2 sysctl -qw net.ipv4.conf.c1e2-eth.rp_filter=0
ip netns exec c1e2 sysctl -qw net.ipv4.conf.c1e2-pe2-eth.rp_filter=0
# a link's address brings its subnet's route along
ip -n c1e2 address add 88.2.1.254/24 dev c1e2-eth
ip -n c1e2 address add 3.1.1.2/30 dev c1e2-pe2-eth
# everything else goes to pe2
ip -n c1e2 route add default via 3.1.1.1 dev c1e2-pe2-eth proto 201

# ---- c2e1, customer's edge router: it knows nothing of VPNs and labels
# the wires' ends: up
ip -n c2e1 link set dev c2e1-eth mtu 1500 up
ip -n c2e1 link set dev c2e1-pe1-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c2e1 link set dev lo mtu 65536 up
# whether it passes on what is not for itself (first: it sets other IPv4 settings back)
ip netns exec c2e1 sysctl -qw net.ipv4.ip_forward=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec c2e1 sysctl -qw net.ipv4.conf.all.rp_filter=0
# a router for IPv6 as well
ip netns exec c2e1 sysctl -qw net.ipv6.conf.all.forwarding=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec c2e1 sysctl -qw net.ipv4.conf.default.rp_filter=0
ip netns exec c2e1 sysctl -qw net.ipv4.conf.c2e1-eth.rp_filter=0
ip netns exec c2e1 sysctl -qw net.ipv4.conf.c2e1-pe1-eth.rp_filter=0
# a link's address brings its subnet's route along
ip -n c2e1 address add 88.1.1.254/24 dev c2e1-eth
ip -n c2e1 address add 1.1.1.1/30 dev c2e1-pe1-eth
# everything else goes to pe1
ip -n c2e1 route add default via 1.1.1.2 dev c2e1-pe1-eth proto 201

# ---- c2e2, customer's edge router: it knows nothing of VPNs and labels
# the wires' ends: up
ip -n c2e2 link set dev c2e2-eth mtu 1500 up
ip -n c2e2 link set dev c2e2-pe2-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c2e2 link set dev lo mtu 65536 up
# whether it passes on what is not for itself (first: it sets other IPv4 settings back)
ip netns exec c2e2 sysctl -qw net.ipv4.ip_forward=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec c2e2 sysctl -qw net.ipv4.conf.all.rp_filter=0
# a router for IPv6 as well
ip netns exec c2e2 sysctl -qw net.ipv6.conf.all.forwarding=1
# no reverse path check: a namespace inherits the host's, and it drops what arrives through a VRF
ip netns exec c2e2 sysctl -qw net.ipv4.conf.default.rp_filter=0
ip netns exec c2e2 sysctl -qw net.ipv4.conf.c2e2-eth.rp_filter=0
ip netns exec c2e2 sysctl -qw net.ipv4.conf.c2e2-pe2-eth.rp_filter=0
# a link's address brings its subnet's route along
ip -n c2e2 address add 88.2.1.254/24 dev c2e2-eth
ip -n c2e2 address add 3.1.1.2/30 dev c2e2-pe2-eth
# everything else goes to pe2
ip -n c2e2 route add default via 3.1.1.1 dev c2e2-pe2-eth proto 201

# ---- br11, LAN
# the LAN itself: a bridge, without spanning tree
ip -n br11 link add name br11 up type bridge stp_state 0
# the ports of the LAN
ip -n br11 link set dev br11-c1e1-eth master br11
ip -n br11 link set dev br11-c1h1-eth master br11
ip -n br11 link set dev br11-c1h2-eth master br11
# the wires' ends: up
ip -n br11 link set dev br11-c1e1-eth mtu 1500 up
ip -n br11 link set dev br11-c1h1-eth mtu 1500 up
ip -n br11 link set dev br11-c1h2-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n br11 link set dev lo mtu 65536 up

# ---- br12, LAN
# the LAN itself: a bridge, without spanning tree
ip -n br12 link add name br12 up type bridge stp_state 0
# the ports of the LAN
ip -n br12 link set dev br12-c1e2-eth master br12
ip -n br12 link set dev br12-c1h3-eth master br12
ip -n br12 link set dev br12-c1h4-eth master br12
# the wires' ends: up
ip -n br12 link set dev br12-c1e2-eth mtu 1500 up
ip -n br12 link set dev br12-c1h3-eth mtu 1500 up
ip -n br12 link set dev br12-c1h4-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n br12 link set dev lo mtu 65536 up

# ---- br21, LAN
# the LAN itself: a bridge, without spanning tree
ip -n br21 link add name br21 up type bridge stp_state 0
# the ports of the LAN
ip -n br21 link set dev br21-c2e1-eth master br21
ip -n br21 link set dev br21-c2h1-eth master br21
ip -n br21 link set dev br21-c2h2-eth master br21
# the wires' ends: up
ip -n br21 link set dev br21-c2e1-eth mtu 1500 up
ip -n br21 link set dev br21-c2h1-eth mtu 1500 up
ip -n br21 link set dev br21-c2h2-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n br21 link set dev lo mtu 65536 up

# ---- br22, LAN
# the LAN itself: a bridge, without spanning tree
ip -n br22 link add name br22 up type bridge stp_state 0
# the ports of the LAN
ip -n br22 link set dev br22-c2e2-eth master br22
ip -n br22 link set dev br22-c2h3-eth master br22
ip -n br22 link set dev br22-c2h4-eth master br22
# the wires' ends: up
ip -n br22 link set dev br22-c2e2-eth mtu 1500 up
ip -n br22 link set dev br22-c2h3-eth mtu 1500 up
ip -n br22 link set dev br22-c2h4-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n br22 link set dev lo mtu 65536 up

# ---- c1h1, host
# the wires' ends: up
ip -n c1h1 link set dev c1h1-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c1h1 link set dev lo mtu 65536 up
# a link's address brings its subnet's route along
ip -n c1h1 address add 88.1.1.1/24 dev c1h1-eth
# everything else goes to c1e1
ip -n c1h1 route add default via 88.1.1.254 dev c1h1-eth proto 201

# ---- c1h2, host
# the wires' ends: up
ip -n c1h2 link set dev c1h2-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c1h2 link set dev lo mtu 65536 up
# a link's address brings its subnet's route along
ip -n c1h2 address add 88.1.1.2/24 dev c1h2-eth
# everything else goes to c1e1
ip -n c1h2 route add default via 88.1.1.254 dev c1h2-eth proto 201

# ---- c1h3, host
# the wires' ends: up
ip -n c1h3 link set dev c1h3-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c1h3 link set dev lo mtu 65536 up
# a link's address brings its subnet's route along
ip -n c1h3 address add 88.2.1.3/24 dev c1h3-eth
# everything else goes to c1e2
ip -n c1h3 route add default via 88.2.1.254 dev c1h3-eth proto 201

# ---- c1h4, host
# the wires' ends: up
ip -n c1h4 link set dev c1h4-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c1h4 link set dev lo mtu 65536 up
# a link's address brings its subnet's route along
ip -n c1h4 address add 88.2.1.4/24 dev c1h4-eth
# everything else goes to c1e2
ip -n c1h4 route add default via 88.2.1.254 dev c1h4-eth proto 201

# ---- c2h1, host
# the wires' ends: up
ip -n c2h1 link set dev c2h1-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c2h1 link set dev lo mtu 65536 up
# a link's address brings its subnet's route along
ip -n c2h1 address add 88.1.1.1/24 dev c2h1-eth
# everything else goes to c2e1
ip -n c2h1 route add default via 88.1.1.254 dev c2h1-eth proto 201

# ---- c2h2, host
# the wires' ends: up
ip -n c2h2 link set dev c2h2-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c2h2 link set dev lo mtu 65536 up
# a link's address brings its subnet's route along
ip -n c2h2 address add 88.1.1.2/24 dev c2h2-eth
# everything else goes to c2e1
ip -n c2h2 route add default via 88.1.1.254 dev c2h2-eth proto 201

# ---- c2h3, host
# the wires' ends: up
ip -n c2h3 link set dev c2h3-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c2h3 link set dev lo mtu 65536 up
# a link's address brings its subnet's route along
ip -n c2h3 address add 88.2.1.3/24 dev c2h3-eth
# everything else goes to c2e2
ip -n c2h3 route add default via 88.2.1.254 dev c2h3-eth proto 201

# ---- c2h4, host
# the wires' ends: up
ip -n c2h4 link set dev c2h4-eth mtu 1500 up
# a new namespace's loopback is down, and then its own addresses do not answer
ip -n c2h4 link set dev lo mtu 65536 up
# a link's address brings its subnet's route along
ip -n c2h4 address add 88.2.1.4/24 dev c2h4-eth
# everything else goes to c2e2
ip -n c2h4 route add default via 88.2.1.254 dev c2h4-eth proto 201

# To take it all down: wires and routes go with their namespaces.
#   sed -n 's/^ip netns add /ip netns delete /p' FILE | sudo bash
