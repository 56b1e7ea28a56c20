"""Imports every model, so that the metadata is complete wherever all tables are needed."""

from __future__ import annotations

from controlplane import audit, leadership
from controlplane.admission import models as admission
from controlplane.approval import models as approval
from controlplane.backups import models as backups
from controlplane.certificates import models as certificates
from controlplane.db import Base
from controlplane.metering import models as metering
from controlplane.provisioning import models as provisioning
from controlplane.service_requests import models as service_requests
from controlplane.tenancy import models as tenancy
from controlplane.upgrades import models as upgrades
from controlplane.uploads import models as uploads

MODULES = (
    admission,
    approval,
    audit,
    backups,
    certificates,
    leadership,
    metering,
    provisioning,
    service_requests,
    tenancy,
    upgrades,
    uploads,
)
ALL_TABLES = Base.metadata.tables
