"""What all processes know of the rates: in Redis if there is one, else in an unlogged table, whose commits wait for no disk."""

import logging
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings

from queue_app import clock
from queue_app.statements import Statement

REDIS_SECONDS = 0.25  # for which a request waits for Redis
REDIS_REST_SECONDS = 5.0  # after a failure, in which each process counts alone
log = logging.getLogger(__name__)
_SPEND = Statement(
    f"""
    INSERT INTO queue_app_callrate AS known (key, used_up)
    VALUES (%(key)s, {clock.SQL} + make_interval(secs => %(seconds)s::float8 - %(age)s::float8))
    ON CONFLICT (key) DO UPDATE
       SET used_up = greatest(known.used_up + make_interval(secs => %(seconds)s::float8), excluded.used_up)
     WHERE greatest(known.used_up + make_interval(secs => %(seconds)s::float8), excluded.used_up)
           <= {clock.SQL} + make_interval(secs => %(most)s::float8)
    RETURNING extract(epoch FROM known.used_up - {clock.SQL})::float8
    """  # noqa: S608 - a constant
)
_AHEAD = Statement(f"SELECT extract(epoch FROM used_up - {clock.SQL})::float8 FROM queue_app_callrate WHERE key = %(key)s")  # noqa: S608
_SPEND_IN_REDIS = """
    local time = redis.call('TIME')
    local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
    local known = tonumber(redis.call('GET', KEYS[1]) or '0')
    local seconds, age, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
    local used_up = math.max(known, now - age) + seconds
    if known > 0 and used_up > now + most then return {0, tostring(known - now)} end
    redis.call('SET', KEYS[1], string.format('%.6f', used_up), 'PX', math.max(1, math.ceil((used_up - now) * 1000)))
    return {1, tostring(used_up - now)}
"""


@dataclass(frozen=True)
class Spending:
    """
    Calls of one caller that are to be counted: what they use up of the rate, in seconds, and how long ago the first was.

    ``most``: nothing is counted if more than so many seconds would then be used up.
    """

    key: str
    seconds: float
    age: float
    most: float


@dataclass(frozen=True)
class Settled:
    """Whether calls were counted, and how many seconds ahead the rate of their caller is now used up."""

    is_taken: bool
    ahead: float


def settle(spending: Spending) -> Settled | None:
    """
    Count these calls for all processes; ``None`` if Redis can't be reached.

    :raises django.db.Error: the database can't be reached, and the request neither.
    """
    return _redis().settle(spending) if settings.REDIS_URL else _in_postgres(spending)


def _in_postgres(spending: Spending) -> Settled:
    values = {"seconds": spending.seconds, "age": spending.age, "most": spending.most}
    taken = _SPEND.run(key=spending.key, **values)
    ahead = taken or _AHEAD.run(key=spending.key)
    return Settled(bool(taken), ahead[0][0] if ahead else 0.0)


class Redis:
    """Redis, which forgets a caller once its rate is free again."""

    def __init__(self, url: str) -> None:
        import redis  # an extra: only there if it is used

        client: Any = redis.Redis.from_url(url, socket_timeout=REDIS_SECONDS)
        self._spend, self._error = client.register_script(_SPEND_IN_REDIS), redis.RedisError
        self._rests_until = 0.0

    def settle(self, spending: Spending) -> Settled | None:
        if time.monotonic() < self._rests_until:
            return None
        try:
            arguments = [spending.seconds, spending.age, spending.most]
            is_taken, ahead = self._spend(keys=[f"genqueue:pace:{spending.key}"], args=arguments)
        except self._error as error:
            self._rests_until = time.monotonic() + REDIS_REST_SECONDS
            log.warning("Redis can't be reached. Each process counts calls alone for %g seconds: %s", REDIS_REST_SECONDS, error)
            return None
        return Settled(bool(is_taken), float(ahead))


@cache
def _redis() -> Redis:
    return Redis(settings.REDIS_URL)
