"""Whether the members of an archive may be unpacked: pure, over what its headers say."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from controlplane.errors import Fault
from controlplane.text import holds_control_characters, without_control_characters

#: Faults that are named one by one; what lies beyond is the same again.
FAULTS_MAX = 20
#: What file systems take, in bytes of UTF-8.
NAME_PART_MAX, NAME_MAX = 255, 1024
SHOWN_MAX = 100


@dataclass(frozen=True)
class Limits:
    """Of one archive: its own size, and what it comes to when unpacked."""

    archive_bytes: int
    unpacked_bytes: int
    members: int


@dataclass(frozen=True)
class Member:
    """`kind`: file, folder, link (symbolic or hard) or special (device, pipe)."""

    name: str
    kind: str
    size: int = 0
    is_encrypted: bool = False


def member_faults(members: Iterable[Member], limits: Limits) -> list[Fault]:
    """Everything wrong with an archive's members, the first `FAULTS_MAX` of it."""
    faults: list[Fault] = []
    kinds: dict[str, str] = {}
    total = 0
    for count, member in enumerate(members, 1):
        total += max(member.size, 0)
        if count > limits.members:
            faults.append(Fault("upload_too_many", "", {"limit": limits.members}))
            break
        if total > limits.unpacked_bytes:
            faults.append(_unpacked_too_large(limits))
            break
        code = _code_of(member, kinds)
        if code and len(faults) < FAULTS_MAX:
            faults.append(Fault(code, "", {"name": shown(member.name)}))
        if not code:
            kinds[_path(member.name)] = member.kind
    if not faults and "file" not in kinds.values():
        faults.append(Fault("upload_empty"))
    return faults


def _unpacked_too_large(limits: Limits) -> Fault:
    return Fault("upload_unpacked_too_large", "", {"limit": limits.unpacked_bytes // 2**20})


def _code_of(member: Member, kinds: dict[str, str]) -> str:
    if not _is_nameable(member.name):
        return "upload_bad_name"
    if _leads_outside(member.name):
        return "upload_outside"
    if member.kind == "link":
        return "upload_link"
    if member.kind not in ("file", "folder"):
        return "upload_special"
    if member.is_encrypted:
        return "upload_encrypted"
    return "upload_twice" if _is_in_the_way(member, kinds) else ""


def _is_nameable(name: str) -> bool:
    """Backslashes are folders to some unpackers and letters to others: nobody needs them."""
    if not name or "\\" in name or holds_control_characters(name):
        return False
    encoded = name.encode("utf-8", "surrogatepass")
    parts = encoded.split(b"/")
    return len(encoded) <= NAME_MAX and all(len(part) <= NAME_PART_MAX for part in parts)


def _leads_outside(name: str) -> bool:
    return name.startswith("/") or ".." in name.split("/") or name[1:2] == ":"


def _path(name: str) -> str:
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _is_in_the_way(member: Member, kinds: dict[str, str]) -> bool:
    """A second file of the name, or a file where another member needs a folder."""
    path = _path(member.name)
    if member.kind == "file" and (path in kinds or not path):
        return True
    parents = path.split("/")[:-1]
    above = ("/".join(parents[: i + 1]) for i in range(len(parents)))
    return kinds.get(path) == "file" or any(kinds.get(parent) == "file" for parent in above)


def shown(name: str) -> str:
    """A member's name as a message may show it."""
    return without_control_characters(name)[:SHOWN_MAX]


def top_folder(names: Iterable[str]) -> str:
    """The one folder that all files lie in, as archives of a release often have it; else empty."""
    tops = set()
    for name in names:
        first, _, rest = _path(name).partition("/")
        tops.add(first if rest else "")
        if len(tops) > 1:
            return ""
    return tops.pop() if tops else ""
