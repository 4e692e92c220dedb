"""Addresses on their way into the kernel and back."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnmpls.kernel import messages

_ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6))


@given(_ADDRESSES)
def test_spelled_as_the_plan_spells(address: object) -> None:
    """What is read back is spelled as the ipaddress module does, which the plan uses."""
    packed = ip_address(str(address)).packed
    assert messages.spelled(packed) == str(address)
    assert messages._prefix(f"{address}/7")[1:] == (packed, 7)


@pytest.mark.parametrize("address", ["::", "::1", "::1.2.3.4", "::ffff:10.0.0.1", "1::", "0:0:1::", "1:0:2:0:0:3:0:0"])
def test_ipv6_that_libraries_spell_differently(address: str) -> None:
    """IPv4 in IPv6 and short runs of zeros."""
    assert messages.spelled(ip_address(address).packed) == str(ip_address(address))
