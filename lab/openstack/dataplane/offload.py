"""Turns a link's checksum and segmentation offloads off, as `ethtool -K` would.

OVS's userspace datapath passes frames on as they are: one with an unfinished checksum or an
oversized segment reaches nobody. Run as a script inside a namespace: offload.py LINK...
"""

from __future__ import annotations

import array
import fcntl
import socket
import struct
import sys

_SIOCETHTOOL = 0x8946
# linux/ethtool.h; ETHTOOL_SSG is refused by links that cannot do scatter-gather at all.
_SET_OFF = {"TXCSUM": 0x17, "SG": 0x19, "TSO": 0x1F, "GSO": 0x24, "GRO": 0x2C}
_MAY_FAIL = {"SG"}


def turn_off(link: str) -> None:
    """Turn all of them off; raises OSError naming the offload the link would not give up."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        for name, command in _SET_OFF.items():
            value = array.array("B", struct.pack("II", command, 0))
            request = struct.pack("16sP", link.encode(), value.buffer_info()[0])
            try:
                fcntl.ioctl(handle, _SIOCETHTOOL, request)
            except OSError as error:
                if name not in _MAY_FAIL:
                    raise OSError(error.errno, f"{link}: cannot turn {name} off") from error


if __name__ == "__main__":
    for each in sys.argv[1:]:
        turn_off(each)
