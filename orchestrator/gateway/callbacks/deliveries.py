"""Delivering callbacks: many at a time, each again and again until its receiver has taken it."""

import asyncio
import logging
import random
import ssl
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from weakref import WeakValueDictionary

import httpx
from pydantic import SecretStr

from orchestrator.gateway.addresses import Resolve, Target, UnresolvedError, resolve, target_of
from orchestrator.gateway.errors import CallbackNotAllowedError
from orchestrator.gateway.settings import GatewayConfig
from orchestrator.gateway.signature import headers_for, key_of
from shared_utils import __version__
from shared_utils.errors import first_line
from shared_utils.telemetry.logs import job_context

log = logging.getLogger("vtryon.webhooks")

AT_ONCE = 64
AT_ONCE_TO_ONE = 4
"""To one receiver: one that is dead, and takes all the time there is, leaves the rest to the others."""
FIRST_PAUSE, LONGER_EACH_TIME, LONGEST_PAUSE = 2.0, 3.0, 600.0
"""Seconds. Eight attempts are spread over some twenty minutes."""
GONE = 410
LONGEST_REASON = 200


@dataclass(frozen=True)
class Callback:
    """What is to be delivered. Its name is the same whoever delivers it, and however often."""

    name: str
    tryon: str
    url: str
    body: bytes

    @property
    def receiver(self) -> str:
        """As much of the URL as may be known: the rest often holds a secret."""
        parsed = httpx.URL(self.url)
        return f"{parsed.scheme}://{parsed.netloc.decode()}"


@dataclass(frozen=True)
class Problem:
    """Why an attempt did not succeed, and whether no other will."""

    reason: str
    lasting: bool = False


class Deliveries:
    """An event loop in a thread of its own."""

    def __init__(
        self,
        config: GatewayConfig,
        secret: SecretStr,
        *,
        resolve: Resolve = resolve,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._key = key_of(secret.get_secret_value())
        self._resolve = resolve
        self._sleep = sleep
        self._clock = clock
        # No connection is kept: one that was made for a host must not serve another of the same address.
        self._transport = httpx.AsyncHTTPTransport(
            verify=ssl.create_default_context(), trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )
        self._resolving = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="webhook name")
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._turns_of: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="webhook deliveries", daemon=True)
        self._thread.start()

    def deliver(self, callback: Callback) -> Future[None]:
        """Done when it was delivered or given up."""
        return asyncio.run_coroutine_threadsafe(self._deliver(callback), self._loop)

    def close(self) -> None:
        """What is under way is left to whoever reads it next."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._resolving.shutdown(wait=False, cancel_futures=True)

    async def _end(self) -> None:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self._transport.aclose()

    async def _deliver(self, callback: Callback) -> None:
        with job_context(correlation_id=callback.tryon):
            await self._tried(callback)

    async def _tried(self, callback: Callback) -> None:
        problem = await self._attempt(callback, 0)
        for attempt in range(1, self._config.webhook_attempts):
            if problem is None or problem.lasting:
                break
            log.debug("%s: callback to %s: %s", callback.tryon, callback.receiver, problem.reason)
            await self._sleep(pause_before(attempt))
            problem = await self._attempt(callback, attempt)
        if problem is None:
            log.info("%s: callback to %s delivered", callback.tryon, callback.receiver)
        else:
            log.warning("%s: callback to %s given up: %s", callback.tryon, callback.receiver, problem.reason)

    async def _attempt(self, callback: Callback, attempt: int) -> Problem | None:
        turns_of_one = self._turns_of.setdefault(callback.receiver, asyncio.Semaphore(AT_ONCE_TO_ONE))
        async with turns_of_one, self._turns:
            try:
                async with asyncio.timeout(self._config.webhook_seconds):
                    status = await self._post(callback, await self._target(callback.url), attempt)
            except CallbackNotAllowedError as refused:
                return Problem(refused.message, lasting=True)
            except TimeoutError:
                return Problem(f"no answer within {self._config.webhook_seconds:g} s")
            except (UnresolvedError, httpx.HTTPError, OSError) as failed:
                return Problem(first_line(failed)[:LONGEST_REASON])
        return None if 200 <= status < 300 else Problem(f"answered {status}", lasting=status == GONE)

    async def _target(self, url: str) -> Target:
        """Looked up and checked anew for each attempt: names move, and not always innocently."""
        allowed = self._config.webhook_allow
        return await self._loop.run_in_executor(self._resolving, target_of, url, allowed, self._resolve)

    async def _post(self, callback: Callback, target: Target, attempt: int) -> int:
        """The status that was answered. Nothing more is read, and no redirect is followed."""
        address = target.addresses[attempt % len(target.addresses)]
        headers = headers_for(self._key, callback.name, int(self._clock()), callback.body) | {
            "host": target.url.netloc.decode(),
            "content-type": "application/json",
            "user-agent": f"vtryon/{__version__}",
        }
        # To the address that was checked; TLS goes by the name all the same.
        request = httpx.Request(
            "POST",
            target.url.copy_with(host=str(address)),
            headers=headers,
            content=callback.body,
            extensions={"sni_hostname": target.url.raw_host.decode()},
        )
        response = await self._transport.handle_async_request(request)
        await response.aclose()
        return response.status_code


def pause_before(attempt: int) -> float:
    """Longer each time, and never the same for all: receivers that come back are not run over."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * LONGER_EACH_TIME ** (attempt - 1))
    return longest * random.uniform(0.5, 1.0)  # noqa: S311  no secret
