"""Rate limits: what is counted, by what, and that no stored value can be turned back into an address."""

import re
from contextlib import suppress
from hashlib import sha256
from ipaddress import ip_address, ip_network

import pytest
from flask import Flask
from redis import Redis

from app.core.errors import RateError
from app.site.web.rate_limits import RateLimits
from tests.support.databases import redis_server


def rates(**changes):
    app = Flask("x")
    settings = {"url": "memory://", "per_address": "2/hour", "total": "100/hour", "workers": 1, **changes}
    return app, RateLimits(app, **settings)


def hits(app, one, address, purpose="send", *, times=1, host="here"):
    with app.test_request_context("/", environ_base={"REMOTE_ADDR": address}, headers={"Host": host}):
        for _ in range(times):
            one.count(purpose)


def test_an_address_over_its_limit_is_told_when_to_try_again():
    """The third send of an hour is refused with the seconds until the next."""
    app, one = rates()
    hits(app, one, "192.0.2.1", times=2)
    with pytest.raises(RateError) as caught:
        hits(app, one, "192.0.2.1")
    assert 1 <= caught.value.seconds <= 3600
    hits(app, one, "192.0.2.2", times=2)
    hits(app, one, "192.0.2.1", "check")


def test_a_whole_ipv6_network_counts_as_one():
    """Addresses of one /64 share a count; the next /64 has its own."""
    app, one = rates()
    hits(app, one, "2001:db8::1")
    hits(app, one, "2001:db8::ffff:1")
    with pytest.raises(RateError):
        hits(app, one, "2001:db8::2")
    hits(app, one, "2001:db8:0:1::1", times=2)


def test_everybody_together_has_a_limit_too():
    """The total stops a flood from many addresses."""
    app, one = rates(total="3/hour")
    for number in range(3):
        hits(app, one, f"192.0.2.{number}")
    with pytest.raises(RateError):
        hits(app, one, "192.0.2.99")


def test_a_flood_from_many_leaves_room_for_those_who_have_sent_little():
    """Beyond half of the total one address sends at most twice."""
    app, one = rates(per_address="20/hour", total="200/hour")
    sent = 0
    for number in range(40):
        for _ in range(20):
            with suppress(RateError):
                hits(app, one, f"192.0.2.{number}")
                sent += 1
    assert sent == 5 * 20 + 35 * 2
    hits(app, one, "198.51.100.1", times=2)
    with pytest.raises(RateError):
        hits(app, one, "198.51.100.1")


def test_the_onion_service_has_a_total_of_its_own():
    """Over Tor no single visitor is limited, and a flood over Tor leaves all others able to send."""
    app, one = rates(total="50/hour")
    hits(app, one, "127.0.0.1", times=50, host="x.onion")
    with pytest.raises(RateError):
        hits(app, one, "127.0.0.1", host="x.onion")
    hits(app, one, "192.0.2.1")
    hits(app, one, "127.0.0.1", "check", times=300, host="x.onion")
    hits(app, one, "127.0.0.1", "reply", times=50, host="x.onion")
    with pytest.raises(RateError):
        hits(app, one, "127.0.0.1", "reply", host="x.onion")


def test_a_flood_elsewhere_leaves_the_onion_service_able_to_send():
    """A flood of addresses does not use up the total of the onion service."""
    app, one = rates(total="10/hour")
    for number in range(10):
        hits(app, one, f"192.0.2.{number}")
    with pytest.raises(RateError):
        hits(app, one, "192.0.2.99")
    hits(app, one, "127.0.0.1", times=3, host="x.onion")


def test_each_circuit_counts_by_itself_where_tor_tells_it():
    """A flood of one Tor circuit does not stop another circuit, and a forged onion host gains nothing."""
    app, one = rates()
    hits(app, one, "fc00:dead:beef:4dad::1", times=2, host="x.onion")
    with pytest.raises(RateError):
        hits(app, one, "fc00:dead:beef:4dad::1", host="x.onion")
    hits(app, one, "fc00:dead:beef:4dad::2", host="x.onion")
    hits(app, one, "9.9.9.9", times=2, host="x.onion")
    with pytest.raises(RateError):
        hits(app, one, "9.9.9.9", host="x.onion")


def test_an_ipv4_address_said_in_ipv6_is_itself():
    """IPv4 addresses on a dual-stack socket are counted one by one."""
    app, one = rates()
    hits(app, one, "::ffff:198.51.100.1", times=2)
    hits(app, one, "::ffff:198.51.100.2", times=2)
    with pytest.raises(RateError):
        hits(app, one, "198.51.100.1")


def test_workers_share_what_memory_counts():
    """With `memory://` each of two workers allows half of the limit."""
    app, one = rates(per_address="4/hour", workers=2)
    hits(app, one, "192.0.2.1", times=2)
    with pytest.raises(RateError):
        hits(app, one, "192.0.2.1")


def test_the_store_holds_no_form_of_an_address():
    """The memory store names counters by a keyed hash and holds no address, neither as text nor as bytes."""
    app, one = rates()
    address = ip_address("203.0.113.77")
    hits(app, one, str(address))
    kept = " ".join(map(str, one._limiter.storage.storage))
    assert re.search(r"send/[0-9a-f]{64}", kept)
    for form in (str(address), address.packed.hex(), str(int(address)), sha256(address.packed).hexdigest()):
        assert form not in kept


def test_nobody_can_try_addresses_once_the_key_has_turned_over():
    """Hashing every address finds the counted one only with the key of the same hour."""
    now = [7200.0]
    app, one = rates(clock=lambda: now[0])

    def tried() -> set[str]:
        return {one._hash_address(address) for address in ip_network("192.0.2.0/24")}

    hits(app, one, "192.0.2.1")
    (counted,) = re.findall(r"send/([0-9a-f]{64})", " ".join(map(str, one._limiter.storage.storage)))
    assert counted in tried()
    now[0] += 3600
    assert counted not in tried()


@pytest.fixture
def redis():
    with redis_server() as server:
        yield server


@pytest.mark.needs("redis")
def test_nodes_count_together_in_redis_under_a_key_with_a_lifetime(redis):
    """Two nodes with one Redis share a count; the store holds no address, and every value in it expires."""
    (app1, one), (app2, two) = rates(url=redis.url), rates(url=redis.url, workers=9)
    hits(app1, one, "192.0.2.7")
    hits(app2, two, "192.0.2.7")
    with pytest.raises(RateError):
        hits(app1, one, "192.0.2.7")
    with Redis(port=redis.port) as store:
        kept = {key: store.ttl(key) for key in store.scan_iter()}
    assert len(kept) >= 2
    assert all(0 < ttl <= 3600 for ttl in kept.values())
    assert not any(b"192.0.2.7" in key for key in kept)


@pytest.mark.needs("redis")
def test_without_its_store_a_node_goes_on_counting_by_itself(redis):
    """Without the store nobody within the limits is refused, and floods are still counted."""
    app, one = rates(url=redis.url)
    redis.process.kill()
    redis.process.wait()
    hits(app, one, "192.0.2.8", times=2)
    with pytest.raises(RateError):
        hits(app, one, "192.0.2.8")
