"""The shared servers as a whole: started side by side, stopped, asked, wiped."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from lab.errors import LabError
from lab.progress import Progress
from lab.services import debian, lifecycle, mariadb, postgresql, rabbitmq, redis
from lab.services.engine import Engine
from lab.services.lifecycle import Status
from lab.settings import Settings

ENGINES: tuple[Engine, ...] = (postgresql.ENGINE, mariadb.ENGINE, redis.ENGINE, rabbitmq.ENGINE)


def chosen(names: Sequence[str]) -> tuple[Engine, ...]:
    """The engines of these names; all of them without a name."""
    return tuple(engine for engine in ENGINES if not names or engine.name in names)


def start(engines: Sequence[Engine], settings: Settings, progress: Progress) -> None:
    """Does everything that is missing until each of them answers.

    Raises LabError with what every one that failed says; the others run on.
    """
    with lifecycle.turn(settings):
        signer = lifecycle.prepare(settings)
        with ThreadPoolExecutor(len(engines)) as pool:
            started = [
                pool.submit(lifecycle.start, engine, settings, signer, progress)
                for engine in engines
            ]
        faults = [error for each in started if (error := each.exception()) is not None]
    for error in faults:
        if not isinstance(error, LabError):
            raise error
    if faults:
        raise LabError("\n".join(str(error) for error in faults))


def stop(engines: Sequence[Engine], settings: Settings, progress: Progress) -> list[str]:
    """Ends them in order, what they hold is kept; returns the names of those that ran."""
    found = [(e, s) for e in engines if (s := lifecycle.existing(e, settings)) is not None]
    if not found:
        return []
    with lifecycle.turn(settings), ThreadPoolExecutor(len(found)) as pool:
        ran = pool.map(lambda pair: lifecycle.stop(*pair, progress), found)
        return [engine.name for (engine, _), each in zip(found, ran, strict=True) if each]


def status(engines: Sequence[Engine], settings: Settings) -> list[Status]:
    """What runs now, of those that were ever started; touches nothing."""
    found = [(e, s) for e in engines if (s := lifecycle.existing(e, settings)) is not None]
    if not found:
        return []
    with ThreadPoolExecutor(len(found)) as pool:
        return list(pool.map(lambda pair: lifecycle.status(*pair), found))


def reset(engines: Sequence[Engine], settings: Settings, progress: Progress) -> None:
    """Stops them and wipes their state: data, passwords, certificates, logs. The programs and the
    certificate authority stay."""
    if not settings.home.exists():
        return
    stop(engines, settings, progress)
    with lifecycle.turn(settings):
        for engine in engines:
            lifecycle.wipe(engine, settings)


def clean(settings: Settings, progress: Progress) -> None:
    """Stops all of them and removes everything they have made; a cache outside the home may be
    shared, and stays."""
    if not settings.home.exists():
        return
    reset(ENGINES, settings, progress)
    postgresql.remove_programs(settings)
    debian.clean(settings)
    lifecycle.tidy(settings)
