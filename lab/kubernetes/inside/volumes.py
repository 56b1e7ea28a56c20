"""Makes a volume for each claim of the class `lab-folders`: a folder of the node.

What a storage system's provisioner does elsewhere. A folder has no bound of its own: the size is
what was asked for, not what is enforced.
"""

from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path

from lab.kubernetes.api import Api, ApiError
from lab.kubernetes.inside import volumes_rules as rules
from lab.kubernetes.inside.facts import Facts
from lab.kubernetes.inside.mirror import Mirror

CLAIMS = "/api/v1/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
FOLDER = "volumes"
#: A failed step is tried again, though nothing has changed meanwhile.
LOOK_AGAIN_S = 2.0


class Provisioner:
    def __init__(self, api: Api, folder: Path, node: str, claims: Mirror, volumes: Mirror) -> None:
        self._api, self._folder, self._node = api, folder, node
        self._claims, self._volumes = claims, volumes

    def do_what_is_due(self) -> None:
        """Every step may be done again. Raises ApiError, OSError."""
        claims, volumes = self._claims.objects(), self._volumes.objects()
        for claim in rules.missing(claims, volumes, self._node):
            folder = self._folder / rules.name_of(claim)
            folder.mkdir(mode=0o770, parents=True, exist_ok=True)
            self._apply(claim)
        for claim in rules.growing(claims, volumes):
            self._apply(claim)
            meta = claim["metadata"]
            path = f"/api/v1/namespaces/{meta['namespace']}/persistentvolumeclaims/{meta['name']}"
            self._api.apply(f"{path}/status", rules.grown(claim))
        for name in rules.unclaimed(volumes):
            shutil.rmtree(self._folder / name, ignore_errors=True)
            self._api.delete(f"{VOLUMES}/{name}")

    def _apply(self, claim: rules.Thing) -> None:
        name = rules.name_of(claim)
        volume = rules.volume_for(claim, str(self._folder / name), self._node)
        self._api.apply(f"{VOLUMES}/{name}", volume)


def main() -> None:
    facts = Facts.read(Path(sys.argv[1]))
    certificate = (Path(facts.volumes_certificate), Path(facts.volumes_key))
    changed = threading.Event()

    def api() -> Api:
        return Api(facts.api_url, Path(facts.authority), *certificate)

    mirrors = [Mirror(api(), path, changed) for path in (CLAIMS, VOLUMES)]
    for mirror in mirrors:
        mirror.start()
    for mirror in mirrors:
        mirror.is_complete.wait()
    provisioner = Provisioner(api(), Path(facts.folder, FOLDER), facts.node_name, *mirrors)
    has_failed = False
    while True:
        changed.wait(LOOK_AGAIN_S if has_failed else None)
        changed.clear()
        has_failed = False
        try:
            provisioner.do_what_is_due()
        except (ApiError, OSError, ValueError) as error:
            print(error, flush=True)
            has_failed = True


if __name__ == "__main__":
    main()
