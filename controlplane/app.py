"""Composition root: settings, database, catalogue, drivers, pages and API. The only place that
wires."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml
from flask import Flask, current_app

from controlplane.accounts import Accounts
from controlplane.archiving import Archiving
from controlplane.catalogue.loader import load_catalogue
from controlplane.catalogue.versions import Catalogue
from controlplane.certificate_jobs import authority_of
from controlplane.certificates.authority import ROOT
from controlplane.certifying import Certifying
from controlplane.clock import Clock, utc_now
from controlplane.config import Settings
from controlplane.connections import Connections
from controlplane.custody import Custody
from controlplane.db import Database
from controlplane.delivery import Delivery
from controlplane.disks import Disks
from controlplane.engines import AUTHORITY, KUBERNETES, MACHINE, SHARED
from controlplane.errors import ConfigurationMissing
from controlplane.leases import Leases
from controlplane.logs import Logs
from controlplane.operations import Operations
from controlplane.pipeline import Pipeline
from controlplane.protecting import Protecting
from controlplane.recovery import Recovery
from controlplane.upgrading import Upgrading
from controlplane.uploading import Uploads
from controlplane.utilisation import Utilisation


@dataclass(frozen=True)
class ControlPlane:
    """Everything an entrance needs; made once, passed in."""

    settings: Settings
    clock: Clock
    db: Database
    catalogue: Catalogue
    accounts: Accounts
    pipeline: Pipeline
    operations: Operations
    delivery: Delivery
    connections: Connections
    recovery: Recovery
    custody: Custody
    protecting: Protecting
    leases: Leases
    upgrading: Upgrading
    uploads: Uploads
    logs: Logs
    certifying: Certifying
    disks: Disks
    archiving: Archiving
    utilisation: Utilisation


def build(settings: Settings, clock: Clock = utc_now) -> ControlPlane:
    """Errors: DeclarationInvalid when a service's folder is wrong."""
    db = Database(settings.database)
    catalogue = load_catalogue(settings.services_dir, settings.absent_engines)
    recovery = Recovery(db, catalogue, settings, clock)
    operations = Operations(db, catalogue, settings, clock)
    return ControlPlane(
        settings=settings,
        clock=clock,
        db=db,
        catalogue=catalogue,
        accounts=Accounts(db, settings, clock),
        pipeline=Pipeline(db, catalogue, settings, clock),
        operations=operations,
        delivery=Delivery(db, catalogue, settings, clock),
        connections=Connections(db, catalogue, settings, clock),
        recovery=recovery,
        custody=Custody(db, catalogue, settings, clock),
        protecting=Protecting(db, operations, recovery, clock),
        certifying=Certifying(db, catalogue, settings, clock),
        disks=Disks(db, catalogue, settings, clock),
        archiving=Archiving(db, catalogue, settings, clock),
        utilisation=Utilisation(db, clock),
        leases=Leases(db, catalogue, operations, settings, clock),
        upgrading=Upgrading(db, catalogue, settings, clock),
        uploads=Uploads(db, catalogue, settings, clock),
        logs=Logs(db, catalogue, partial(cloud_of_engine, settings)),
    )


@cache
def kubernetes_cloud(kubeconfig: Path, inventory: Path | None, run_seconds: int) -> Any:
    """The driver of a cluster; one in a process, for it keeps its connections."""
    from controlplane.drivers.kubernetes import KubernetesCloud

    return KubernetesCloud(kubeconfig, inventory, run_seconds)


def cloud_of_engine(settings: Settings, engine: str) -> Any:
    """The driver by which pages look into a cloud; None where there is none to look into."""
    if engine != KUBERNETES or settings.kubeconfig is None:
        return None
    told = settings.kubernetes_inventory
    return kubernetes_cloud(
        settings.kubeconfig.resolve(), told and told.resolve(), settings.job_timeout_seconds
    )


def build_clouds(settings: Settings) -> Mapping[str, Any]:
    """Drivers by cloud name, from the clouds file. Errors: ConfigurationMissing."""
    from controlplane.drivers.authority import CertificateAuthority
    from controlplane.drivers.machine_disks import MachineDisks
    from controlplane.drivers.machine_logs import MachineLogs
    from controlplane.drivers.openstack import OpenStackCloud
    from controlplane.drivers.shared import SharedServices

    try:
        declared = yaml.safe_load(settings.clouds_yaml.read_text(encoding="utf-8"))["clouds"]
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        raise ConfigurationMissing(
            what=f"a clouds file at CONTROLPLANE_CLOUDS_YAML={settings.clouds_yaml} ({error})"
        ) from error
    clouds: dict[str, Any] = {name: OpenStackCloud(name, e) for name, e in declared.items()}
    if settings.shared_inventory is not None:
        clouds[SHARED] = SharedServices(settings.shared_inventory.resolve())
    if settings.kubeconfig is not None:
        clouds[KUBERNETES] = cloud_of_engine(settings, KUBERNETES)
    if settings.machines_answer:
        clouds[MACHINE] = MachineDisks()
    if settings.machine_log_tools:
        root = authority_of(settings).certificate_path(ROOT).resolve()
        clouds[MACHINE] = MachineLogs(settings.machine_log_tools, root)
    clouds[AUTHORITY] = CertificateAuthority(authority_of(settings).can_sign)
    return clouds


def secret_key(settings: Settings) -> str:
    """The key that signs cookies: the setting, or one drawn at the first start and kept 0600."""
    if settings.secret_key is not None:
        return settings.secret_key.get_secret_value()
    path: Path = settings.var_dir / "secret_key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(48))
    return path.read_text().strip()


def create_app(control_plane: ControlPlane) -> Flask:
    """The web application: pages at `/`, JSON at `/api/v1`."""
    from controlplane.api import register_api
    from ui import register_ui

    settings = control_plane.settings
    app = Flask("ui", static_folder="static", template_folder="templates")
    app.config.update(
        SECRET_KEY=secret_key(settings),
        MAX_CONTENT_LENGTH=settings.request_body_max_kib * 1024,
        MAX_FORM_MEMORY_SIZE=settings.request_body_max_kib * 1024,
        SESSION_COOKIE_NAME="egov_form",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.cookie_secure,
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.extensions["controlplane"] = control_plane
    register_api(app)
    register_ui(app)
    app.add_url_rule("/healthz", "healthz", _health)
    return app


def _health() -> dict[str, str]:
    """Whether the process answers and its database too: for a probe, without a session."""
    control_plane: ControlPlane = current_app.extensions["controlplane"]
    with control_plane.db.read() as session:
        session.execute(sa.text("SELECT 1"))
    return {"status": "ok"}
