"""A network of the test process's own, where the system allows it.

Ports, and the places for cleaning files (names in the abstract socket namespace, unix(7)), belong to a network
namespace (network_namespaces(7)). In one of its own, a test process meets neither the workers beside it nor another
run on the same machine. Making one takes root; without root the tests share the machine's network, which works for
one run at a time. No test needs more of a network than loopback.
"""

import ctypes
import fcntl
import os
import socket
import struct

_CLONE_NEWNET = 0x40000000
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1
_IFREQ = "16sh22x"  # netdevice(7): a name, its flags, and room


def use_own_network() -> bool:
    """Move this thread, and what the thread starts from now on, to a network with nothing but loopback, if allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0 or libc.unshare(_CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        answer = fcntl.ioctl(any_socket, _SIOCGIFFLAGS, struct.pack(_IFREQ, b"lo", 0))
        _, flags = struct.unpack(_IFREQ, answer)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack(_IFREQ, b"lo", flags | _IFF_UP))
    return True
