"""The nested networks of a visitor, each under a name that nobody can turn back into an address.

An IPv4 address has a /32 and a /24, an IPv6 address a /64, a /56 and a /48, and a Tor circuit the whole onion service.
A share for each width bounds how much one household, one provider's customer or one Tor client can take. The name of a
network is an HMAC; its key is kept in memory and changes each hour. Nodes may share the key for a limited time.
"""

import hmac
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from time import time
from wsgiref.types import WSGIEnvironment

HOUR_SECONDS = 3600
# The network in which Tor gives each circuit an address (tor(1), HiddenServiceExportCircuitID).
_TOR_CIRCUITS = ip_network("fc00:dead:beef:4dad::/64")
_IPV4_WIDTHS = (32, 24)
_IPV6_WIDTHS = (64, 56, 48)  # what one subnet, one household and one site are given (RFC 6177)
Address = IPv4Address | IPv6Address
# Gets the hour, and 32 random bytes; returns the key of all nodes in that hour, which is the bytes of the first node.
ShareKey = Callable[[int, bytes], bytes]


@dataclass(frozen=True)
class Network:
    """One network: its `width` ("ipv4/32", "ipv4/24", "ipv6/64", …, "circuit", "onion", "unknown") and hourly name."""

    width: str
    key: str


@dataclass(frozen=True)
class Networks:
    """The networks of one visitor, the narrowest first; only the onion service if Tor names no circuits."""

    nested: tuple[Network, ...]

    @property
    def narrowest(self) -> Network:
        """Return the network that fewest people share."""
        return self.nested[0]

    @property
    def widest(self) -> Network:
        """Return the network that contains all others: a /24, a /48, or the onion service."""
        return self.nested[-1]


class NetworkReader:
    """Reads the networks of a visitor from a request; makes a new key each hour, or gets the key from `share_key`.

    `clock` gives unix seconds. One object serves all threads of a process.
    """

    def __init__(self, *, clock: Callable[[], float] = time, share_key: ShareKey | None = None) -> None:
        self._clock, self._share_key = clock, share_key
        self._environ_key = f"haumaru.networks.{id(self)}"
        self._lock = threading.Lock()
        self._key: tuple[int, bytes] = (-1, b"")

    def of_environ(self, environ: WSGIEnvironment) -> Networks:
        """Return the networks of a WSGI request; an earlier step must have replaced the address of a trusted proxy.

        They are read once; the environment of the request keeps them.
        """
        networks: Networks | None = environ.get(self._environ_key)
        if networks is None:
            networks = self.of_address(environ.get("REMOTE_ADDR", ""), host=environ.get("HTTP_HOST", ""))
            environ[self._environ_key] = networks
        return networks

    def of_address(self, untrusted_address: str, *, host: str) -> Networks:
        """Return the networks of an address; `host` is the request's Host, perhaps that of an onion service."""
        key = self._hourly_key()
        return Networks(tuple(_named(width, prefix, key) for width, prefix in _prefixes(untrusted_address, host)))

    def draw(self, key: str, purpose: str) -> float:
        """Return a number from 0 up to 1, the same for one network, purpose and hour; nobody can predict it."""
        digest = hmac.digest(self._hourly_key(), f"draw/{purpose}/{key}".encode(), sha256)
        return int.from_bytes(digest[:6], "big") / 2**48

    def seconds_left(self) -> int:
        """Return the seconds until the hour ends, and every name and count with the hour."""
        return HOUR_SECONDS - int(self._clock()) % HOUR_SECONDS

    def _hourly_key(self) -> bytes:
        hour = int(self._clock()) // HOUR_SECONDS
        with self._lock:
            if self._key[0] != hour:
                fresh = secrets.token_bytes(32)
                self._key = (hour, self._share_key(hour, fresh) if self._share_key else fresh)
            return self._key[1]


def _prefixes(untrusted_address: str, host: str) -> list[tuple[str, bytes]]:
    """Return the width and the first bytes of each network of an address, the narrowest first."""
    address = _parse_address(untrusted_address)
    if address is None:
        return [("unknown", b"")]
    if address in _TOR_CIRCUITS:
        return [("circuit", address.packed), ("onion", b"")]
    # Our proxy passes on the visitor's address, so a private address with an onion host came through Tor.
    if host.partition(":")[0].endswith(".onion") and address.is_private:
        return [("onion", b"")]
    widths = _IPV4_WIDTHS if isinstance(address, IPv4Address) else _IPV6_WIDTHS
    return [(f"ipv{address.version}/{bits}", address.packed[: bits // 8]) for bits in widths]


def _parse_address(untrusted_address: str) -> Address | None:
    try:
        address = ip_address(untrusted_address)
    except ValueError:
        return None
    # A dual-stack socket reports an IPv4 address as an IPv4-mapped IPv6 address.
    return getattr(address, "ipv4_mapped", None) or address


def _named(width: str, prefix: bytes, key: bytes) -> Network:
    return Network(width, hmac.digest(key, width.encode() + b"/" + prefix, sha256).hex())
