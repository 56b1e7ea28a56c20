"""Object storage as its playbook makes it and as its users reach it: S3, swift's own API, URLs."""

from __future__ import annotations

import hashlib
import hmac
import io
import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
import yaml
from minio import Minio
from minio.error import S3Error
from openstack.connection import Connection

from controlplane.config import CHECKOUT
from controlplane.drivers.openstack import OpenStackCloud
from tests.integration.live_city import connect

TIMEOUT_S = 30
#: An object smaller than this is stored by one request.
WHOLE = 5 << 30


@dataclass(frozen=True)
class Keys:
    """What a department is shown of one account."""

    outputs: Mapping[str, Any]
    secret_key: str
    url_key: str

    def s3(self) -> Minio:
        """A client that asks once and says what it was told."""
        where = urlsplit(self.outputs["s3_endpoint"])
        return Minio(
            where.netloc,
            access_key=self.outputs["access_key"],
            secret_key=self.secret_key,
            region=self.outputs["region"],
            secure=where.scheme == "https",
            http_client=urllib3.PoolManager(retries=False, timeout=TIMEOUT_S),
        )

    def put(self, key: str, body: bytes, bucket: str = "") -> str:
        """`ok`, or the code of the refusal."""
        return said(
            partial(self.s3().put_object, part_size=WHOLE),
            *(bucket or self.bucket, key, io.BytesIO(body), len(body)),
        )

    def get(self, key: str, bucket: str = "") -> bytes:
        with self.s3().get_object(bucket or self.bucket, key) as answer:
            return bytes(answer.read())

    def may_read(self, key: str, bucket: str = "") -> str:
        return said(self.get, key, bucket)

    def signed_in(self, entry: Mapping[str, Any]) -> Connection:
        """As swift's own client signs in."""
        auth = {
            "auth_url": self.outputs["auth_url"],
            "username": self.outputs["username"],
            "password": self.secret_key,
            "user_domain_id": self.outputs["domain"],
            "project_id": self.outputs["project_id"],
        }
        return connect({"auth": auth, "region_name": entry["region_name"]})

    def url(self, key: str, method: str = "GET", seconds: int = 60) -> str:
        """A temporary URL, made as the page tells."""
        path, expires = f"{self.outputs['url_path']}/{key}", int(time.time()) + seconds
        text = f"{method}\n{expires}\n{path}".encode()
        signature = hmac.new(self.url_key.encode(), text, hashlib.sha256).hexdigest()
        query = f"temp_url_sig={signature}&temp_url_expires={expires}"
        return f"{self.outputs['s3_endpoint']}{path}?{query}"

    def fetched(self, key: str) -> int:
        """The status of fetching an object without a login."""
        return requests.get(self.url(key), timeout=TIMEOUT_S).status_code

    @property
    def bucket(self) -> str:
        return str(self.outputs["container"])


def said(call: Callable[..., Any], *arguments: Any) -> str:
    """`ok`, or the code of the refusal."""
    try:
        call(*arguments)
    except S3Error as error:
        return str(error.code)
    return "ok"


@dataclass
class Bucket:
    """One resource of the service, its playbook run by hand; `secrets` are those in force."""

    folder: Path
    entry: Mapping[str, Any]
    project: str
    project_id: str
    spec: dict[str, Any]
    resource_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    outputs: dict[str, Any] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.draw()

    def draw(self) -> None:
        self.secrets = {name: uuid.uuid4().hex for name in ("secret_key", "url_key")}

    @property
    def keys(self) -> Keys:
        return Keys(dict(self.outputs), self.secrets["secret_key"], self.secrets["url_key"])

    def start(self, action: str, **more: Any) -> subprocess.Popen[str]:
        access = OpenStackCloud("lab", self.entry).run_access(self.project)
        clouds = self.folder / f"{self.project}.yaml"
        clouds.write_text(yaml.safe_dump(dict(access.files["clouds.yaml"])))
        told = {
            "action": action,
            "engine": "openstack",
            "resource_id": self.resource_id,
            "resource_name": "档案影像 “一期” 🏛",
            "cloud": "department",
            "admin_cloud": "admin",
            "department": {"project": self.project, "project_id": self.project_id},
            "spec": self.spec,
            "outputs": self.outputs,
            "secrets": self.secrets,
            "is_undoing": False,
            **more,
        }
        file = self.folder / f"{self.resource_id}.json"
        file.write_text(json.dumps({"controlplane": told}))
        return subprocess.Popen(
            [
                str(Path(sys.executable).parent / "ansible-playbook"),
                *("playbooks/services/object-storage/manage.yml", "-e", f"@{file}"),
            ],
            cwd=CHECKOUT,
            env={
                **os.environ,
                "OS_CLIENT_CONFIG_FILE": str(clouds),
                "ANSIBLE_SHOW_CUSTOM_STATS": "1",
                "ANSIBLE_NOCOLOR": "1",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def end(self, process: subprocess.Popen[str]) -> int:
        """How many tasks changed something in a run that must end well."""
        text = self.text_of(process)
        assert process.returncode == 0, text
        _, _, reported = text.partition("RUN: ")
        if reported:
            told, _ = json.JSONDecoder().raw_decode(reported)
            self.outputs = told["controlplane"]["outputs"]
        return int(text.rpartition("changed=")[2].split()[0])

    def text_of(self, process: subprocess.Popen[str]) -> str:
        text, _ = process.communicate(timeout=120)
        assert not any(secret in text for secret in self.secrets.values())
        return text

    def run(self, action: str, **more: Any) -> int:
        return self.end(self.start(action, **more))


def left_of(admin: Connection, tenant: Connection, bucket: Bucket) -> list[str]:
    """What is on the cloud of it, in words."""
    name = f"{bucket.spec['bucket_name']}-{bucket.resource_id[:6]}"
    return [
        *(f"user {u.name}" for u in admin.identity.users() if name in u.name),
        *(f"container {c.name}" for c in tenant.object_store.containers() if c.name == name),
    ]
