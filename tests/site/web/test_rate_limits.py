"""Rate limits: what counts, for which networks, and that neither a limit nor the store tells who sent."""

import random
import re
import threading
from collections import Counter
from contextlib import suppress
from hashlib import sha256
from ipaddress import ip_address

import pytest
from flask import Flask
from redis import Redis

from app.core.errors import OutboxError, RateError, WordsFullError
from app.site.web.rate_limits import RateLimits, WordsPace
from tests.support.databases import redis_server

ONION = "x.onion"
CIRCUIT = "fc00:dead:beef:4dad:0:ffff"
APP = Flask("limits")
BACKLOG = 6 * 16  # words that leave within six windows
FIRST = 14 * 6 * 16  # those that leave within 14 hours


def rates(**changes):
    settings = {"url": "memory://", "per_address": "20/hour", "workers": 1, "pace": WordsPace(16, 600), **changes}
    return RateLimits(**settings)


def request_of(address, host="here"):
    return APP.test_request_context("/", environ_base={"REMOTE_ADDR": address}, headers={"Host": host})


def take(one, address, purpose="tip", *, host="here"):
    """Take one; return how many words the tip may find waiting."""
    with request_of(address, host), one.reserved(purpose) as place:
        return place.most_waiting


def taken(one, addresses, purpose="tip", *, host="here"):
    """Try to take one from each address; return how many were taken."""
    count = 0
    for address in addresses:
        with suppress(RateError):
            take(one, address, purpose, host=host)
            count += 1
    return count


def share(one, address, purpose="tip", *, host="here"):
    """Return how many one address takes before it is refused."""
    return taken(one, [address] * 500, purpose, host=host)


@pytest.mark.parametrize(("purpose", "most"), [("tip", 20), ("look", 120), ("reply", 20)])
def test_an_address_takes_its_share_and_is_told_when_the_hour_ends(purpose, most):
    """An address is refused after a number between half of its share and all of it, and told the end of the hour."""
    now = [7200.0 + 600]
    one = rates(clock=lambda: now[0])
    count = share(one, "192.0.2.1", purpose)
    assert most // 2 <= count <= most
    with pytest.raises(RateError) as caught:
        take(one, "192.0.2.1", purpose)
    assert caught.value.seconds == 3000
    take(one, "192.0.2.2", purpose)
    now[0] = 3 * 3600
    take(one, "192.0.2.1", purpose)


def test_what_was_refused_counts_for_nothing():
    """A thousand tries that come to nothing, and a thousand refusals, leave the share of a network whole."""
    one = rates()
    for fault in (OutboxError, RateError(seconds=1), KeyboardInterrupt):
        for _ in range(300):
            with pytest.raises(BaseException), request_of("192.0.2.1"), one.reserved("tip"):  # noqa: B017, PT011
                raise fault
    for _ in range(300):
        with request_of("192.0.2.1"), one.reserved("tip") as place:
            place.give_back()
    assert 10 <= share(one, "192.0.2.1") <= 20
    assert (
        taken(one, (f"192.0.2.{number}" for number in range(2, 200))) >= 40
    )  # of the /24, which was refused 490 times


@pytest.mark.parametrize("workers", [1, 4])
def test_a_burst_gains_nothing(workers):
    """Of a hundred tips of one address at once, all in hand together, no more pass than its share."""
    one = rates(workers=workers)
    together, passed = threading.Barrier(100), Counter()

    def send() -> None:
        together.wait()
        with suppress(RateError), request_of("192.0.2.1"), one.reserved("tip"):
            passed["now"] += 1
            together.wait()
            return
        together.wait()

    threads = [threading.Thread(target=send) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    most = 20 // workers
    assert most // 2 <= passed["now"] <= most
    assert share(one, "192.0.2.1") + passed["now"] <= most


def test_a_burst_has_one_first_tip():
    """Of twenty tips of one address at once just one is the network's first."""
    one = rates()
    together, most = threading.Barrier(10), []

    def send() -> None:
        with request_of("192.0.2.1"), one.reserved("tip") as place:
            together.wait()
            most.append(place.most_waiting)

    threads = [threading.Thread(target=send) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each > BACKLOG for each in most) == 1


@pytest.mark.parametrize(("purpose", "most"), [("tip", 80), ("look", 480), ("reply", 80)])
def test_one_48_shuts_nothing_to_others(purpose, most):
    """830 subnets of one /48 take at most four times what an address may, and all others go on."""
    one = rates()
    subnets = [f"2001:db8:0:{number:x}::1" for number in range(830)] * 2
    assert most // 2 <= taken(one, subnets, purpose) <= most
    assert taken(one, [f"2001:db8:{number:x}::1" for number in range(1, 100)], purpose) == 99
    assert taken(one, ["198.51.100.1"], purpose) == 1


def test_wider_networks_have_shares_of_their_own():
    """A /56 takes at most twice, a /24 at most eight times what an address may, however many addresses it has."""
    one = rates()
    assert 20 <= taken(one, [f"2001:db8:0:{number:x}::1" for number in range(256)]) <= 40
    assert 80 <= taken(one, [f"203.0.113.{number}" for number in range(256)] * 2) <= 160
    assert taken(one, ["2001:db8:1::1", "203.0.114.1"]) == 2


def test_one_tor_client_does_not_close_the_form():
    """2,000 tries through one circuit take its share; other circuits, and all others, go on."""
    one = rates()
    assert 10 <= taken(one, [f"{CIRCUIT}:0:1"] * 2000, host=ONION) <= 20
    for purpose in ("tip", "look", "reply"):
        assert taken(one, [f"{CIRCUIT}:1:{number:x}" for number in range(2000)], purpose, host=ONION) == 2000
    assert taken(one, ["198.51.100.1"]) == 1


def test_without_circuits_the_onion_service_has_a_share_of_its_own():
    """Where Tor names no circuits, a flood over Tor uses up the onion's share, and no one elsewhere is refused."""
    one = rates(per_address="2/hour")
    assert 100 <= taken(one, ["127.0.0.1"] * 300, host=ONION) <= 200
    assert taken(one, ["198.51.100.1"]) == 1
    assert taken(one, ["127.0.0.1"]) == 1
    assert 1 <= share(one, "9.9.9.9", host=ONION) <= 2  # a forged Host


def test_a_networks_first_tip_may_find_more_words_waiting():
    """The first tip of an hour may find the words of 10 to 14 hours waiting, the next ones at most six windows."""
    now = [7200.0]
    one = rates(clock=lambda: now[0])
    assert 3 * FIRST // 4 <= take(one, "192.0.2.1") <= FIRST
    assert 3 * BACKLOG // 4 <= take(one, "192.0.2.1") <= BACKLOG
    assert 3 * FIRST // 4 <= take(one, "198.51.100.1") <= FIRST
    now[0] += 3600
    assert 3 * FIRST // 4 <= take(one, "192.0.2.1") <= FIRST


def test_a_first_tip_that_was_not_taken_is_still_to_come():
    """A first tip that was refused for another reason gives the network's place back."""
    one = rates()
    with pytest.raises(OutboxError), request_of("192.0.2.1"), one.reserved("tip"):
        raise OutboxError
    assert take(one, "192.0.2.1") > BACKLOG


@pytest.mark.parametrize(
    ("addresses", "most"),
    [
        ([f"2001:db8:0:{number:x}::1" for number in range(830)], 4),
        ([f"2001:db8:0:{number:x}::1" for number in range(256)], 2),
        ([f"203.0.113.{number}" for number in range(256)], 8),
    ],
)
def test_a_wide_network_has_few_first_tips(addresses, most):
    """However many subnets or addresses a /48, a /56 or a /24 has, few of their tips come in before others' second."""
    one, firsts = rates(), 0
    for address in addresses:
        with suppress(RateError):
            firsts += take(one, address) > BACKLOG
    assert most // 2 <= firsts <= most


def test_circuits_leave_most_of_the_room_to_others():
    """First tips over Tor may find a quarter of those words waiting that first tips elsewhere may."""
    one = rates()
    over_tor = [take(one, f"{CIRCUIT}:2:{number:x}", host=ONION) for number in range(200)]
    assert 3 * FIRST // 16 <= min(over_tor) < max(over_tor) <= FIRST // 4


def test_a_full_backlog_is_told_as_a_limit_and_counts_for_nothing():
    """Where too many words wait, the sender is told the end of the hour, and the tip counts for nothing."""
    one = rates(clock=lambda: 7200.0 + 60)
    for _ in range(100):
        with pytest.raises(RateError) as caught, request_of("192.0.2.1"), one.reserved("tip"):
            raise WordsFullError
    assert caught.value.seconds == 3540
    assert take(one, "192.0.2.1") > BACKLOG


# What one visitor is told must not depend finely on another.


def found_out(purpose, *, workers=1, hours=400):
    """Return how often it is guessed right, from an address's share alone, whether a colleague took one before.

    The best guess for each share is learned from one half of the hours and tried on the other half.
    """
    now, dice = [0.0], random.Random(4)
    nodes = [rates(workers=workers, clock=lambda: now[0]) for _ in range(workers)]

    def share_of_an_hour(*, colleague: bool) -> int:
        now[0] += 3600
        if colleague:
            take(dice.choice(nodes), "192.0.2.1", purpose)
        count = 0
        with suppress(RateError):
            while True:
                take(dice.choice(nodes), "192.0.2.1", purpose)
                count += 1
        return count

    learned = Counter()
    for _ in range(hours // 2):
        learned[share_of_an_hour(colleague=True)] += 1
        learned[share_of_an_hour(colleague=False)] -= 1
    right = 0
    for _ in range(hours // 2):
        right += learned[share_of_an_hour(colleague=True)] > 0
        right += learned[share_of_an_hour(colleague=False)] <= 0
    return right / (hours // 2 * 2)


@pytest.mark.parametrize("purpose", ["tip", "reply"])
def test_a_share_does_not_tell_what_a_colleague_took(purpose, monkeypatch):
    """Whoever uses up the share of an address guesses as good as by chance whether somebody else took one."""
    monkeypatch.setattr("app.web.networks.secrets.token_bytes", random.Random(7).randbytes)
    assert 0.4 < found_out(purpose) < 0.6


def test_a_refusal_tells_nothing_of_when_others_came():
    """Whoever is refused is told the end of the hour, whenever the first and the last of the others came."""
    told = set()
    for moments in ([0] * 30, range(0, 1800, 60)):
        now = [7200.0]
        one = rates(clock=lambda now=now: now[0])
        for moment in moments:
            now[0] = 7200.0 + moment
            taken(one, ["192.0.2.1"])
        now[0] = 7200.0 + 1800
        with pytest.raises(RateError) as caught:
            take(one, "192.0.2.1")
        told.add(caught.value.seconds)
    assert told == {1800}


# The store.


def kept_names(one):
    return " ".join(one._counter._local_names.names)


def test_the_store_holds_no_form_of_an_address():
    """The memory names shares by a keyed hash and holds no address, neither as text nor as bytes."""
    one, address = rates(), ip_address("203.0.113.77")
    take(one, str(address))
    assert len(re.findall(r"tip/[0-9a-f]{64}", kept_names(one))) == 2
    for form in (str(address), address.packed.hex(), str(int(address)), sha256(address.packed).hexdigest()):
        assert form not in kept_names(one)


def test_a_flood_from_one_wide_network_fills_no_memory():
    """Ten thousand subnets of one /48 that is over its share leave no more names behind than its share has places."""
    one = rates()
    assert taken(one, [f"2001:db8:0:{number:x}::1" for number in range(3000)]) <= 80
    assert len(kept_names(one).split()) < 80 * 6


def test_counting_starts_no_thread(monkeypatch):
    """What a network takes is counted without a thread: a thread for each count would look through every name."""
    started = []
    monkeypatch.setattr(threading.Thread, "start", started.append)
    one = rates()
    assert taken(one, [f"9.{number}.0.1" for number in range(200)]) == 200
    assert started == []


def test_the_names_of_an_hour_are_forgotten_with_the_hour():
    """A process keeps the names of one hour alone, and gives back a place of an hour that is over without a count."""
    now = [7200.0]
    one = rates(clock=lambda: now[0])
    taken(one, [f"9.{number}.0.1" for number in range(50)])
    assert len(kept_names(one).split()) == 50 * 4
    with request_of("9.9.9.9"), one.reserved("tip") as place:
        now[0] = 3 * 3600.0
        take(one, "192.0.2.1")
        place.give_back()
    assert len(kept_names(one).split()) == 4


@pytest.fixture
def redis():
    with redis_server() as server:
        yield server


@pytest.mark.needs("redis")
def test_nodes_count_together_in_redis_under_a_key_with_a_lifetime(redis):
    """Two nodes with one Redis share their counts; the store holds no address, and every value in it expires."""
    one, two = rates(url=redis.url), rates(url=redis.url, workers=9)
    assert 10 <= taken(one, ["192.0.2.7"] * 5) + taken(two, ["192.0.2.7"] * 20) + share(one, "192.0.2.7") <= 20
    with Redis(port=redis.port) as store:
        kept = {key: store.ttl(key) for key in store.scan_iter()}
    assert len(kept) >= 3
    assert all(0 < ttl <= 3600 for ttl in kept.values())
    assert not any(b"192.0.2.7" in key for key in kept)


@pytest.mark.needs("redis")
def test_in_redis_too_a_burst_gains_nothing_and_a_refusal_costs_nothing(redis):
    """Of fifty tips at once in Redis no more than the share pass, and what came to nothing is given back."""
    one, passed = rates(url=redis.url), Counter()
    for _ in range(50):
        with request_of("192.0.2.1"), one.reserved("tip") as place:
            place.give_back()

    def send() -> None:
        with suppress(RateError):
            take(one, "192.0.2.1")
            passed["now"] += 1

    threads = [threading.Thread(target=send) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 10 <= passed["now"] + share(one, "192.0.2.1") <= 20


@pytest.mark.needs("redis")
def test_without_its_store_a_node_goes_on_counting_by_itself(redis):
    """Without the store nobody within the limits is refused, and floods are still counted."""
    one = rates(url=redis.url)
    redis.process.kill()
    redis.process.wait()
    assert 10 <= share(one, "192.0.2.8") <= 20


@pytest.mark.parametrize(("seconds", "minutes"), [(1, 2), (60, 2), (61, 2), (121, 3), (3600, 60)])
def test_a_refusal_names_whole_minutes_and_never_one(seconds, minutes):
    """The time after which to try again is never too short, and is a plural in every language."""
    assert RateError(seconds=seconds).minutes == minutes
