"""Sees every packet of this machine that is meant for a lab address, and where it goes out."""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network
from types import TracebackType

ETH_P_ALL = 0x0003
ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806


class Capture:
    """Counts packets and ARP questions for the given ranges, by the interface they were seen on.

    A packet socket bound to no interface sees those of the whole network namespace.
    """

    def __init__(self, ranges: Sequence[IPv4Network]) -> None:
        self.ranges = ranges
        self.seen: Counter[str] = Counter()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL))
        self._socket.settimeout(0.2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Capture:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _watch(self) -> None:
        while not self._ended.is_set():
            try:
                packet, (interface, protocol, *_) = self._socket.recvfrom(2048)
            except TimeoutError:
                continue
            target = _target(packet, protocol)
            if target and any(target in lab_range for lab_range in self.ranges):
                self.seen[interface] += 1


def _target(packet: bytes, protocol: int) -> IPv4Address | None:
    """Where the packet goes, or whom the ARP question asks for."""
    offset = {ETHERTYPE_IPV4: 16, ETHERTYPE_ARP: 24}.get(protocol)
    if offset is None or len(packet) < offset + 4:
        return None
    return IPv4Address(struct.unpack_from("!I", packet, offset)[0])
