"""Networks: which addresses share one, and that no name of a network can be turned back into an address."""

import threading
from hashlib import sha256
from ipaddress import ip_address

import pytest

from app.web.networks import NetworkReader

CLEAR = "example.org"
ONION = "a" * 56 + ".onion"


def widths(address, host=CLEAR):
    return [network.width for network in NetworkReader().of_address(address, host=host).nested]


@pytest.mark.parametrize(
    ("address", "host", "expected"),
    [
        ("192.0.2.1", CLEAR, ["ipv4/32", "ipv4/24"]),
        ("::ffff:192.0.2.1", CLEAR, ["ipv4/32", "ipv4/24"]),
        ("2001:db8::1", CLEAR, ["ipv6/64", "ipv6/56", "ipv6/48"]),
        ("fc00:dead:beef:4dad:0:ffff:1:2", ONION, ["circuit", "onion"]),
        ("127.0.0.1", ONION, ["onion"]),
        ("127.0.0.1", f"{ONION}:80", ["onion"]),
        ("198.51.101.1", ONION, ["ipv4/32", "ipv4/24"]),  # a forged Host
        ("", CLEAR, ["unknown"]),
        ("not an address", CLEAR, ["unknown"]),
    ],
)
def test_each_kind_of_address_has_its_networks(address, host, expected):
    """The networks of a visitor come narrowest first; a forged onion host changes nothing."""
    assert widths(address, host) == expected


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        ("192.0.2.1", "192.0.2.2", 1),
        ("192.0.2.1", "192.0.3.1", 0),
        ("2001:db8::1", "2001:db8::ffff:1", 3),
        ("2001:db8::1", "2001:db8:0:1::1", 2),
        ("2001:db8::1", "2001:db8:0:100::1", 1),
        ("2001:db8::1", "2001:db8:1::1", 0),
        ("fc00:dead:beef:4dad:0:ffff:0:1", "fc00:dead:beef:4dad:0:ffff:0:2", 1),
        ("fc00:dead:beef:4dad:0:ffff:0:1", "2001:db8::1", 0),
    ],
)
def test_neighbours_share_just_the_networks_that_contain_both(one, other, shared):
    """Two addresses have the same name for each network that contains both, and for no other."""
    reader = NetworkReader()
    names = [{network.key for network in reader.of_address(each, host=CLEAR).nested} for each in (one, other)]
    assert len(names[0] & names[1]) == shared


def test_a_wsgi_request_is_read_as_its_address():
    """The networks of a WSGI environment are those of its address and host; nothing there is one network too."""
    reader = NetworkReader()
    environ = {"REMOTE_ADDR": "192.0.2.1", "HTTP_HOST": CLEAR}
    assert reader.of_environ(environ) == reader.of_address("192.0.2.1", host=CLEAR)
    assert reader.of_environ({}) == reader.of_address("", host="")


def test_names_hold_no_form_of_an_address_and_change_with_the_hour():
    """A name is no hash that can be tried without the key, and the next hour names the same network anew."""
    now = [7200.0]
    reader = NetworkReader(clock=lambda: now[0])
    address = ip_address("203.0.113.77")
    first = reader.of_address(str(address), host=CLEAR)
    now[0] += 3599
    assert reader.of_address(str(address), host=CLEAR) == first
    assert reader.seconds_left() == 1
    now[0] += 1
    later = reader.of_address(str(address), host=CLEAR)
    assert not {one.key for one in first.nested} & {one.key for one in later.nested}
    for form in (str(address), address.packed.hex(), str(int(address)), sha256(address.packed).hexdigest()):
        assert not any(form in one.key for one in first.nested)


def test_all_threads_use_one_key_at_the_turn_of_the_hour():
    """Fifty threads that meet a new hour together name one address alike."""
    reader, start, names = NetworkReader(), threading.Barrier(50), set()

    def read() -> None:
        start.wait()
        names.add(reader.of_address("192.0.2.1", host=CLEAR))

    threads = [threading.Thread(target=read) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 1


def test_nodes_that_share_a_key_name_networks_alike():
    """A reader that is given a shared key names networks as the others do, and draws the same numbers."""
    keys: dict[int, bytes] = {}
    one, two = (NetworkReader(clock=lambda: 0, share_key=keys.setdefault) for _ in range(2))
    key = one.of_address("192.0.2.1", host=CLEAR).narrowest.key
    assert key == two.of_address("192.0.2.1", host=CLEAR).narrowest.key
    assert one.draw(key, "look") == two.draw(key, "look")


def test_a_draw_is_fixed_for_a_network_and_an_hour_and_spread_evenly():
    """The number drawn for a network stays, differs by purpose and key, and is uniform from 0 to 1."""
    reader = NetworkReader()
    drawn = [reader.draw(str(number), "tip") for number in range(4000)]
    assert drawn == [reader.draw(str(number), "tip") for number in range(4000)]
    assert drawn[0] != reader.draw("0", "look")
    assert drawn[0] != NetworkReader().draw("0", "tip")
    tenths = [sum(low <= 10 * one < low + 1 for one in drawn) for low in range(10)]
    assert all(300 < count < 500 for count in tenths), tenths
