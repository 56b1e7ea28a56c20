"""Domain errors, each with a stable code; `messages` holds their words in both languages."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Params = Mapping[str, Any]


@dataclass(frozen=True)
class Fault:
    """One thing wrong with an input.

    `code` is a key of `messages.MESSAGES`; `field` is the path of the input at fault, empty for the
    input as a whole; `params` fill the message.
    """

    code: str
    field: str = ""
    params: Params = dataclasses.field(default_factory=dict)


class DomainError(Exception):
    """Refusal of a use case: nothing has changed. `status` is the HTTP status it maps to."""

    code = "error"
    status = 400

    def __init__(self, **params: Any) -> None:
        self.params: Params = params
        super().__init__(f"{self.code} {params}" if params else self.code)

    @property
    def faults(self) -> tuple[Fault, ...]:
        return ()


class InvalidInput(DomainError):
    """The input is refused whole, with every fault named at once (一次性告知)."""

    code = "invalid_input"
    status = 422

    def __init__(self, faults: Iterable[Fault], **params: Any) -> None:
        self._faults = tuple(faults)
        super().__init__(**params)

    @property
    def faults(self) -> tuple[Fault, ...]:
        return self._faults

    def __str__(self) -> str:
        return "; ".join(f"{f.field}: {f.code} {dict(f.params)}" for f in self._faults)


class NotFound(DomainError):
    """No such thing, or not for this person: the two look the same on purpose."""

    code = "not_found"
    status = 404


class Forbidden(DomainError):
    """The person may see the thing but not do this to it."""

    code = "forbidden"
    status = 403


class NotSignedIn(DomainError):
    code = "not_signed_in"
    status = 401


class SignInRefused(DomainError):
    """Wrong name or password, or locked after too many tries: the answer is the same."""

    code = "sign_in_refused"
    status = 401


class OwnRequest(Forbidden):
    """Nobody decides on a request of their own."""

    code = "own_request"


class OwnAsk(Forbidden):
    """A second person is another one than who asked."""

    code = "own_ask"


class StateConflict(DomainError):
    """The thing is not (any more) in a state that allows this."""

    code = "state_conflict"
    status = 409


class ResourceBusy(StateConflict):
    """One action at a time: another one of the resource is not finished."""

    code = "resource_busy"


class NoBackups(StateConflict):
    """The resource's service declares no backups, or not this action with them."""

    code = "no_backups"


class NoLogs(StateConflict):
    """Nothing of the resource writes a log that can be shown."""

    code = "no_logs"


class SecondPersonAwaited(StateConflict):
    """Something was asked of this resource already that waits for a second person."""

    code = "second_person_awaited"


class UpgradeOpen(StateConflict):
    """Another upgrade of the service is not finished. Params: number."""

    code = "upgrade_open"


class LeaseEnded(StateConflict):
    """The lease is over: renewing it brings the resource back, nothing else does."""

    code = "lease_ended"


class EditedMeanwhile(StateConflict):
    """Somebody else changed the thing since the caller read it."""

    code = "edited_meanwhile"


class AdmissionRefused(InvalidInput):
    """Quota or pool cannot take the request; a fault for each dimension and each bound."""

    code = "admission_refused"
    status = 409


class DependenceRefused(InvalidInput):
    """A resource stands on another, or would, and what was asked does not go with that."""

    code = "dependence_refused"
    status = 409


class DeclarationInvalid(DomainError):
    """A file of `quotas/` or `playbooks/services/` is wrong; nothing of it is applied."""

    code = "declaration_invalid"
    status = 422

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__()

    def __str__(self) -> str:
        return "\n".join(self.problems)


class CloudUnavailable(DomainError):
    """The cloud did not answer, or answered that it cannot now: trying again may help."""

    code = "cloud_unavailable"
    status = 503


class CloudRefused(DomainError):
    """The cloud answered no: trying again the same way will not help."""

    code = "cloud_refused"
    status = 502


class LogLost(CloudRefused):
    """A server no longer has what comes next in the archive of its log."""


class ConfigurationMissing(DomainError):
    """A part that this deployment needs is not there; the message says how to get it."""

    code = "configuration_missing"
    status = 500


class BackupUnusable(DomainError):
    """Params: number, why ({zh, en})."""

    code = "backup_unusable"
    status = 409
