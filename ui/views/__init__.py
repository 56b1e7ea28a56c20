"""The blueprints, one module per area; all but the public ones stand behind the sign-in."""

from flask import Flask

from ui.preferences import preferences_pages
from ui.session import require_sign_in
from ui.views.admin import admin_pages
from ui.views.approvals import approvals_pages
from ui.views.asking import asking_pages
from ui.views.auth import account_pages, auth_pages
from ui.views.batch import batch_pages
from ui.views.catalogue import catalogue_pages
from ui.views.certificates import certificates_pages, pki_pages
from ui.views.connecting import connecting_pages
from ui.views.finance import finance_pages
from ui.views.home import home_pages
from ui.views.jobs import jobs_pages
from ui.views.operating import operating_pages
from ui.views.pools import pools_pages
from ui.views.protecting import protecting_pages
from ui.views.recovering import recovering_pages
from ui.views.renewing import renewing_pages
from ui.views.requests import requests_pages
from ui.views.resources import resources_pages
from ui.views.search import search_pages
from ui.views.upgrades import upgrades_pages

PUBLIC = (auth_pages, preferences_pages, pki_pages)
SIGNED_IN = (
    home_pages,
    catalogue_pages,
    asking_pages,
    requests_pages,
    resources_pages,
    operating_pages,
    renewing_pages,
    protecting_pages,
    connecting_pages,
    recovering_pages,
    batch_pages,
    approvals_pages,
    certificates_pages,
    jobs_pages,
    upgrades_pages,
    pools_pages,
    finance_pages,
    admin_pages,
    account_pages,
    search_pages,
)


def install(app: Flask) -> None:
    """Register every page."""
    for pages in SIGNED_IN:
        if require_sign_in not in pages.before_request_funcs.get(None, []):
            pages.before_request(require_sign_in)
    for pages in (*PUBLIC, *SIGNED_IN):
        app.register_blueprint(pages)
