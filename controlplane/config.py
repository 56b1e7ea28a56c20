"""Typed settings of the control plane, read once from the environment and passed in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from controlplane import engines
from controlplane.windows import window_in

CHECKOUT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """Every setting has the environment variable `CONTROLPLANE_<NAME>`."""

    model_config = SettingsConfigDict(env_prefix="CONTROLPLANE_", extra="forbid")

    var_dir: Path = CHECKOUT / "var"
    database_url: str = ""
    playbooks_dir: Path = CHECKOUT / "playbooks"
    quotas_dir: Path = CHECKOUT / "quotas"
    clouds_yaml: Path = Path("clouds.yaml")
    shared_inventory: Path | None = None
    kubeconfig: Path | None = None
    kubernetes_inventory: Path | None = None
    object_storage: bool = False
    credential_keys_file: Path | None = None
    authority_dir: Path | None = None
    backup_store: Path | None = None
    backup_store_reserve_mib: int = Field(default=1024, ge=0)
    backup_timeout_minutes: int = Field(default=240, ge=1)
    log_archive_seconds: int = Field(default=300, ge=10)
    log_archive_days: int = Field(default=7, ge=1, le=400)
    backup_store_warn_percent: int = Field(default=15, ge=0, le=99)
    upload_store: Path | None = None
    upload_store_reserve_mib: int = Field(default=512, ge=0)
    upload_max_mib: int = Field(default=16, ge=1, le=64)
    upload_unpacked_max_mib: int = Field(default=128, ge=1, le=1024)
    upload_members_max: int = Field(default=20_000, ge=1, le=200_000)
    upload_department_max_mib: int = Field(default=512, ge=1)
    upload_unused_days: int = Field(default=30, ge=1)

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    public_url: str = ""
    cookie_secure: bool = False
    session_idle_minutes: int = Field(default=30, ge=1)
    session_max_hours: int = Field(default=12, ge=1)
    sign_in_tries: int = Field(default=5, ge=1)
    sign_in_lock_minutes: int = Field(default=15, ge=1)
    request_body_max_kib: int = Field(default=512, ge=16)

    secret_key: SecretStr | None = None
    delivery: Literal["in_process", "none"] = "in_process"
    playbook_runs_max: int = Field(default=4, ge=1, le=64)
    job_lease_seconds: int = Field(default=30, ge=3)
    job_attempts_max: int = Field(default=3, ge=1)
    job_retry_base_seconds: int = Field(default=5, ge=0)
    cloud_patience_hours: int = Field(default=24, ge=0)
    job_timeout_seconds: int = Field(default=900, ge=10)
    maintenance_window: str = ""
    second_person_days: int = Field(default=7, ge=1, le=365)
    tick_seconds: int = Field(default=10, ge=1)
    machines_answer: bool = True
    #: Folders of client programs by engine, for servers on machines of their own.
    machine_tools: dict[str, Path] = {}
    #: Of the programs that archive and replay their log, which are of the servers' own version.
    machine_log_tools: dict[str, Path] = {}
    log_format: Literal["console", "json"] = "console"

    @field_validator("maintenance_window")
    @classmethod
    def _is_window(cls, text: str) -> str:
        return str(window_in(text)) if text else ""

    @property
    def database(self) -> str:
        """SQLAlchemy URL; SQLite below `var_dir` unless one is set."""
        return self.database_url or f"sqlite:///{self.var_dir / 'controlplane.sqlite'}"

    @property
    def absent_engines(self) -> frozenset[str]:
        """Engines that this deployment is told no way to."""
        told = {
            engines.SHARED: self.shared_inventory,
            engines.KUBERNETES: self.kubeconfig,
            engines.OBJECT_STORAGE: self.object_storage or None,
            engines.AUTHORITY: self.authority if self.authority.is_dir() else None,
            # Configured over SSH, with a certificate of the city's own.
            engines.MACHINE: (self.machines_answer and self.authority.is_dir()) or None,
        }
        return frozenset(engine for engine, way in told.items() if way is None)

    @property
    def jobs_dir(self) -> Path:
        """Private data of playbook runs, one folder a job."""
        return self.var_dir / "jobs"

    @property
    def credential_keys(self) -> Path:
        """The keys that seal secrets; keep a copy apart from the database's."""
        return self.credential_keys_file or self.var_dir / "credential_keys"

    @property
    def authority(self) -> Path:
        """The certificate authority's certificates, lists and keys; keep a copy apart."""
        return self.authority_dir or self.var_dir / "authority"

    @property
    def lists_url(self) -> str:
        """Where certificates say that revocation lists are to be fetched: this very server."""
        return self.public_url or f"http://{self.host}:{self.port}"

    @property
    def backups_dir(self) -> Path:
        """The backup store: in production a disk or share of its own, mounted on every worker."""
        return self.backup_store or self.var_dir / "backups"

    @property
    def uploads_dir(self) -> Path:
        """The store of uploads: with workers on several hosts a share that each of them mounts."""
        return self.upload_store or self.var_dir / "uploads"

    @property
    def services_dir(self) -> Path:
        return self.playbooks_dir / "services"
