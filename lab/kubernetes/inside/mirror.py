"""A copy of one kind of the cluster's objects that follows every change."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from lab.kubernetes.api import Api, ApiError

#: A watch ends after this time and goes on from the last change it saw.
WATCH_S = 240
PAUSE_AFTER_FAILURE_S = 1.0
GONE = 410


class Mirror(threading.Thread):
    """Lists `path` once, then watches it; `changed` is set whenever the copy is another."""

    def __init__(self, api: Api, path: str, changed: threading.Event) -> None:
        super().__init__(daemon=True, name=path)
        self._api, self._path, self._changed = api, path, changed
        self._objects: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        self._version = ""
        self.is_complete = threading.Event()

    def objects(self) -> list[dict[str, Any]]:
        """The objects as last heard of."""
        with self._lock:
            return list(self._objects.values())

    def run(self) -> None:
        while True:
            try:
                if not self._version:
                    self._list()
                self._watch()
            except ApiError as error:
                if error.status == GONE:
                    self._version = ""
                else:
                    print(f"{self._path}: {error}", flush=True)
                    time.sleep(PAUSE_AFTER_FAILURE_S)
            except (OSError, ValueError) as error:  # a connection cut within an answer
                print(f"{self._path}: {error}", flush=True)
                self._version = ""
                time.sleep(PAUSE_AFTER_FAILURE_S)

    def _list(self) -> None:
        found = self._api.get(self._path)
        with self._lock:
            self._objects = {item["metadata"]["uid"]: item for item in found["items"]}
        self._version = found["metadata"]["resourceVersion"]
        self.is_complete.set()
        self._changed.set()

    def _watch(self) -> None:
        query = f"?watch=1&resourceVersion={self._version}&timeoutSeconds={WATCH_S}"
        with self._api.open(self._path + query, timeout_s=WATCH_S + 30) as answer:
            for line in answer:
                self._take(json.loads(line))

    def _take(self, event: dict[str, Any]) -> None:
        thing = event["object"]
        if event["type"] == "ERROR":
            raise ApiError(f"watch of {self._path}: {thing.get('message')}", thing.get("code", 0))
        self._version = thing["metadata"]["resourceVersion"]
        if event["type"] == "BOOKMARK":
            return
        with self._lock:
            if event["type"] == "DELETED":
                self._objects.pop(thing["metadata"]["uid"], None)
            else:
                self._objects[thing["metadata"]["uid"]] = thing
        self._changed.set()
