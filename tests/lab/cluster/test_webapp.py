"""Web applications that departments upload: delivered, visited, changed while they are visited."""

from __future__ import annotations

import io
import ssl
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import yaml
from cryptography import x509
from kubernetes import client

from controlplane.certificate_jobs import authority_of
from controlplane.certificates.authority import Authority
from controlplane.certificates.models import RevocationList
from controlplane.clock import epoch_seconds, utc_now
from controlplane.pipeline import Ask
from controlplane.reports.utilisation import Used, use_by_resource
from controlplane.service_requests.rules import RequestState
from tests.integration.live_city import wait_for
from tests.lab.applications import (
    BROKEN,
    SCHEME,
    SICK,
    counter,
    page_at,
    serial_at,
    tar_gz,
    trust_in,
    visited,
    zipped,
)
from tests.lab.cloud import until
from tests.lab.kubernetes_city import KubernetesCity, kubernetes_city
from tests.lab.pods import Lab, shared_services

PATIENCE_S = 60
#: A version has this long to be ready here; its run begins and ends on a busy machine.
READY_WITHIN_S = 45
NEVER_READY_S = 200
NAME = "www.civil-affairs-k.city.example"


def impatient(lab: Lab, folder: Path) -> Path:
    """The lab's inventory, where an operator has set how long a version may take to be ready."""
    told = yaml.safe_load((lab.home / "kubernetes" / "inventory.yml").read_text(encoding="utf-8"))
    for host in told["all"]["hosts"].values():
        host["kubernetes_webapp_patience_s"] = READY_WITHIN_S
    file = folder / "inventory.yml"
    file.write_text(yaml.safe_dump(told), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def running_city(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubernetesCity]:
    shared_services(lab, "start", "postgresql")
    folder = tmp_path_factory.mktemp("city")
    inventory = lab.home / "services" / "inventory.yml"
    authority = folder / "authority"
    Authority(authority, "http://lists.example").create("Sample City", utc_now())
    places = {"shared_inventory": inventory, "kubernetes_inventory": impatient(lab, folder)}
    with kubernetes_city(folder, lab, authority_dir=authority, **places) as city:
        yield city
    shared_services(lab, "clean")


@pytest.fixture
def city(running_city: KubernetesCity) -> Iterator[KubernetesCity]:
    """What a test leaves standing goes, and nothing of it may be left in the cluster."""
    yield running_city
    running_city.retire_all("webapp", "postgresql")
    running_city.assert_nothing_is_left()


def upload(city: KubernetesCity, content: bytes, login: str = "limin") -> str:
    uploads = city.control_plane.uploads
    return uploads.receive(city.person(login), None, "app", io.BytesIO(content)).sha256


def application(city: KubernetesCity, content: bytes, **form: Any) -> str:
    return city.delivered("webapp", plan="small", archive=upload(city, content), **form)


def change(city: KubernetesCity, resource_id: str, action: str, **form: Any) -> int:
    """A change that nobody has to approve; the request's id."""
    asked = Ask("webapp", action, "internet", form, resource_id=resource_id)
    request_id = city.control_plane.pipeline.submit_request(city.person("limin"), asked)
    city.worker.wake()
    return request_id


def approved(city: KubernetesCity, request_id: int) -> int:
    city.decide("zhangjing", request_id)
    city.worker.wake()
    return request_id


def url_of(city: KubernetesCity, resource_id: str) -> str:
    return str(city.resource(resource_id).outputs["url"])


@pytest.mark.brief
def test_a_static_site_is_up(city: KubernetesCity, record_property: Any) -> None:
    application(city, zipped({"index.html": "0"}))  # the department is set up by its first order
    site = {"site/index.html": "<p>低保", "site/a/index.html": "a", "site/a/b.css": "p {}"}
    sha256 = upload(city, zipped(site))
    asked = Ask(
        "webapp",
        "provision",
        "internet",
        {"system_name": "网站", "plan": "small", "archive": sha256},
    )
    request_id = city.control_plane.pipeline.submit_request(city.person("limin"), asked)
    city.decide("zhangjing", request_id)
    approved_at = time.monotonic()
    city.worker.wake()
    resource_id = city.fulfilled(request_id)
    assert page_at(url_of(city, resource_id)) == "<p>低保"
    record_property("approved_to_first_answer_s", round(time.monotonic() - approved_at, 1))
    assert page_at(f"{url_of(city, resource_id)}a/b.css") == "p {}"
    assert page_at(f"{url_of(city, resource_id)}a") == "a", "led to a/ at the same address"


def trusting(city: KubernetesCity, folder: Path) -> ssl.SSLContext:
    """A client with the root and the lists of now."""
    city.control_plane.certifying.refresh_lists()
    authority = authority_of(city.control_plane.settings)
    with city.control_plane.db.read() as session:
        lists = [row.der for row in session.scalars(sa.select(RevocationList))]
    return trust_in(
        folder, authority.root_pem, [*lists, (authority.folder / "root.crl").read_bytes()]
    )


def served_serial(city: KubernetesCity, resource_id: str, trust: ssl.SSLContext) -> str:
    """What is served under its name is what the register has."""
    outputs = city.resource(resource_id).outputs
    serial = serial_at(outputs["address"], outputs["https_port"], NAME, trust)
    assert serial == outputs["certificate_serial"]
    return serial


def test_by_https_nobody_is_turned_away_and_what_it_served_with_is_revoked(
    city: KubernetesCity, tmp_path: Path
) -> None:
    """Turned on, renewed, deployed, suspended, turned off, destroyed; before the city's clock is
    moved, for a client judges by its own."""
    resource_id = application(city, tar_gz({"app.py": SCHEME}), runtime="python")
    url, serials = url_of(city, resource_id), []
    with visited(url) as plain:
        city.operate(resource_id, "serve_https", dns_names=NAME)
        outputs = city.resource(resource_id).outputs
        assert outputs["https_url"] == f"https://{NAME}:{outputs['https_port']}/"
        trust = trusting(city, tmp_path)
        serials.append(served_serial(city, resource_id, trust))
        with pytest.raises(ssl.SSLCertVerificationError):
            serial_at(outputs["address"], outputs["https_port"], "www.city.example", trust)
        secure_url = f"https://{outputs['address']}:{outputs['https_port']}/"
        with visited(secure_url, trust=trust) as secure:
            city.operate(resource_id, "renew")
            serials.append(served_serial(city, resource_id, trusting(city, tmp_path)))
            newer = upload(city, tar_gz({"app.py": f"# 2\n{SCHEME}"}))
            city.fulfilled(change(city, resource_id, "deploy", archive=newer))
            assert served_serial(city, resource_id, trust) == serials[-1]
        city.operate(resource_id, "stop_https")
    for visitor, scheme in ((plain, "http"), (secure, "https")):
        assert visitor.failures == []
        assert set(visitor.answers) == {scheme}
        assert len(visitor.answers) > 50
    print(
        f"HTTPS: {len(secure.answers)} visits by it, {len(plain.answers)} beside it, all answered"
    )
    with pytest.raises(urllib.error.URLError):
        page_at(secure_url, 2, trust)

    city.operate(resource_id, "serve_https", dns_names=NAME)
    city.operate(resource_id, "power_off")
    city.operate(resource_id, "power_on")
    serials.append(served_serial(city, resource_id, trusting(city, tmp_path)))
    city.retire_all("webapp")
    with city.control_plane.db.read() as session:
        (row,) = session.scalars(sa.select(RevocationList))
    listed = {f"{entry.serial_number:x}" for entry in x509.load_der_x509_crl(row.der)}
    assert listed == set(serials)
    assert len(listed) == 3


def test_no_visitor_is_turned_away_through_an_application_s_life(city: KubernetesCity) -> None:
    """Deployed, configured, scaled, its database's password changed and the old one ended."""
    database = city.delivered("postgresql", plan="small", database_name="dibao")
    resource_id = application(
        city, counter("one"), runtime="python", health_path="/ready", database=database
    )
    url = url_of(city, resource_id)
    with visited(url) as visitor:
        newer = upload(city, counter("two"))
        city.fulfilled(change(city, resource_id, "deploy", archive=newer))
        assert page_at(url).startswith("two ")

        motto = [{"name": "MOTTO", "value": """a "b" $(PGUSER) {{ 1 }} {% if %} \\"""}]
        city.fulfilled(change(city, resource_id, "configure", environment=motto))
        assert page_at(url).endswith(motto[0]["value"])

        city.fulfilled(approved(city, change(city, resource_id, "scale", replicas=3)))
        before = page_at(url).split()[2]
        city.operate(database, "rotate_password")
        city.idle()
        after = page_at(url).split()[2]
        assert after != before
        city.end_grace()
        assert page_at(url).split()[2] == after

        (older,) = [
            choice.value
            for choice in city.control_plane.pipeline.prepare(
                city.person("limin"),
                Ask("webapp", "roll_back", "internet", {}, resource_id=resource_id),
            ).choices["archive"]
        ]
        city.fulfilled(change(city, resource_id, "roll_back", archive=older))
        assert page_at(url).startswith("one ")
    assert visitor.failures == []
    assert len(visitor.answers) > 100
    print(f"web application: {len(visitor.answers)} visits through 6 changes, none turned away")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (BROKEN, "No module named 'no_such_library'"),
        (SICK, "/ answers 500"),
    ],
)
def test_a_version_that_is_never_ready_says_why_and_the_one_before_stays(
    city: KubernetesCity, source: str, reason: str
) -> None:
    good = 'def app(environ, start):\n    start("200 OK", [])\n    return [b"good"]\n'
    resource_id = application(city, tar_gz({"app.py": good}), runtime="python", replicas=1)
    url = url_of(city, resource_id)
    with visited(url) as visitor:
        bad = upload(city, tar_gz({"app.py": source}))
        request_id = change(city, resource_id, "deploy", archive=bad)
        wait_for(lambda: way_back(city, resource_id), "the way back", city.told, NEVER_READY_S)
        city.idle()
        request = city.request(request_id)
    assert request.state == RequestState.FAILED
    assert reason in request.reason
    assert visitor.failures == []
    assert set(visitor.answers) == {"good"}
    assert city.resource(resource_id).spec["archive"] != bad
    assert len(city.jobs(resource_id=resource_id, action="deploy")) == 2  # it, and the way back
    until(lambda: running(city, resource_id) == 1 or None, PATIENCE_S, "the end of its pods")


def way_back(city: KubernetesCity, resource_id: str) -> bool | None:
    """Whether the job that undoes a deployment has begun."""
    return len(city.jobs(resource_id=resource_id, action="deploy")) == 2 or None


def running(city: KubernetesCity, resource_id: str) -> int:
    found = client.CoreV1Api(city.client()).list_pod_for_all_namespaces(
        label_selector=f"egov/resource-id={resource_id}"
    )
    return len(found.items)


def test_its_log_and_its_use_are_seen_and_suspended_it_answers_nobody(
    city: KubernetesCity,
) -> None:
    """From its real pods, and from the real kubelet by the tick."""
    resource_id = application(city, tar_gz({"index.html": "here"}), replicas=1)
    url = url_of(city, resource_id)
    page_at(f"{url}?seen=1")

    def seen() -> bool | None:
        logs = city.control_plane.logs.read(city.person("limin"), resource_id)
        return any("seen=1" in log.text for log in logs) or None

    until(seen, PATIENCE_S, "the visit in the log")

    def used() -> Used | None:
        city.ticks.sample_use()
        now = epoch_seconds(city.clock())
        with city.control_plane.db.read() as session:
            told = use_by_resource(session, [resource_id], now - 7200, now + 1).get(resource_id)
        return told if told and told.memory_mib_peak else None

    told = until(used, PATIENCE_S, "what its pod uses")
    held = city.resource(resource_id).capacity
    assert 0 < told.memory_mib_mean <= told.memory_mib_peak < held["memory_mib"]
    assert 0 <= told.cpu_millicores_mean <= told.cpu_millicores_peak < held["vcpu"] * 1000

    city.operate(resource_id, "power_off")
    assert running(city, resource_id) == 0
    with pytest.raises(urllib.error.URLError):
        page_at(url, 2)
    city.operate(resource_id, "power_on")
    assert page_at(url_of(city, resource_id)) == "here"
