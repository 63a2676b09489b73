"""One file: asked for as often as it takes, each time for what is still missing."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx

from shared_utils.downloads.answers import RangeError, begins_at, refusal, strong_etag
from shared_utils.downloads.errors import DownloadFailedError, DownloadInterruptedError
from shared_utils.downloads.files import ModelFile, readable
from shared_utils.downloads.part import Part
from shared_utils.downloads.progress import Progress
from shared_utils.downloads.source import Answer, Named, Source
from shared_utils.errors import first_line

T = TypeVar("T")
Wait = Callable[[float], Awaitable[None]]

TAKING = "downloading"
READING = "checking"


@dataclass(frozen=True)
class Patience:
    """How much of a bad connection is borne with."""

    connect_seconds: float = 20.0
    stall_seconds: float = 60.0
    """In so long there must be an answer, and then a block of the file each time: 4 kB a second are too few."""
    block: int = 256 * 1024
    tries: int = 6
    """In a row that bring nothing worth naming."""
    progress: int = 1024 * 1024
    """What a try must bring for the count to begin anew."""
    first_wait: float = 1.0
    longest_wait: float = 120.0
    wait: Wait = asyncio.sleep


async def off_loop(work: Callable[..., T], *given: Any) -> T:
    """In a thread, so that the other files go on. A download that is stopped waits for the block in hand."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *given))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def stepped(blocks: Iterator[int]) -> AsyncIterator[int]:
    """What an iterator that reads a disk gives, read in threads."""
    while (length := await off_loop(next, blocks, None)) is not None:
        yield length


class Fetch:
    """One file from one source, into its place."""

    def __init__(
        self, source: Source, client: httpx.AsyncClient, file: ModelFile, patience: Patience, progress: Progress
    ) -> None:
        self._source = source
        self._client = client
        self._file = file
        self._patience = patience
        self._progress = progress
        self._ranges = True
        self._spliced = False
        """Whether what is there came in several parts: then it may be wrong though each server is right."""

    async def to(self, target: Path) -> None:
        """Have it there, whole and verified; what was there before stays until then."""
        with Part(target, self._file) as part:
            async for _ in stepped(part.reread()):
                self._show(READING, part)
            self._spliced = part.length > 0
            if not part.right:
                await self._take_all(part)
            if not part.right and self._spliced:
                self._progress.say(f"{self._file.label}: its parts don't fit together: once more from the start")
                part.clear()
                await self._take_all(part)
            if not part.right:
                part.remove()
                raise DownloadFailedError(
                    f"{self._source} sends another {self._file.name} than vtryon knows: its SHA-256 is "
                    f"{part.sha256()}, not {self._file.sha256}. It was not kept. Try another mirror in HF_ENDPOINT."
                )
            await off_loop(part.finish)

    async def named(self) -> Named:
        """What the source says of the file, without asking for it."""
        failures = 0
        while True:
            try:
                async with self._answer({}, "HEAD") as answer:
                    if answer.named is None and answer.response.status_code != 200:
                        raise refusal(answer.response, self._file, self._source)
                    if answer.named is None:
                        raise DownloadFailedError(
                            f"{self._source} does not say which SHA-256 {self._file.name} has, so that --unpinned has "
                            "nothing to hold it against."
                        )
                    return answer.named
            except DownloadInterruptedError as interrupted:
                failures += 1
                await self._wait(interrupted, failures, 0)

    async def _take_all(self, part: Part) -> None:
        failures, furthest = 0, part.length
        while part.length < self._file.size:
            try:
                await self._try(part)
            except DownloadInterruptedError as interrupted:
                failures = 1 if part.length >= furthest + self._patience.progress else failures + 1
                furthest = max(furthest, part.length)
                await self._wait(interrupted, failures, part.length)

    async def _wait(self, interrupted: DownloadInterruptedError, failures: int, length: int) -> None:
        """Before the next try; or give up."""
        patience, kept = self._patience, f"{readable(length)} of {readable(self._file.size)}"
        wanted = interrupted.retry_after
        if failures >= patience.tries or (wanted or 0) > patience.longest_wait:
            asked = f" and asks to come back in {wanted} s" if wanted else ""
            raise DownloadInterruptedError(
                f"{interrupted.message}{asked}; given up after {failures} tries. {kept} of {self._file.name} are kept: "
                "run it again to go on.",
                wanted,
            )
        seconds = patience.first_wait * 2 ** (failures - 1) if wanted is None else wanted
        self._progress.say(f"{self._file.label}: {interrupted.message}; going on after {kept} in {seconds:g} s")
        await patience.wait(min(seconds, patience.longest_wait))

    async def _try(self, part: Part) -> None:
        """One request, for all that is missing."""
        asked = part.length if self._ranges else 0
        headers = {"Range": f"bytes={asked}-"} if asked else {}
        if asked and part.etag:
            headers["If-Range"] = part.etag
        async with self._answer(headers) as answer:
            try:
                begins = begins_at(answer, self._file, asked, self._source)
            except RangeError:
                self._ranges = False
                raise
            if begins == 0:
                if part.length:
                    self._progress.say(
                        f"{self._file.label}: the server begins anew: its file changed, or it can't give a part of one"
                    )
                await off_loop(part.begin, strong_etag(answer.response))
            self._spliced = begins > 0
            await self._receive(answer, part)

    @asynccontextmanager
    async def _answer(self, headers: Mapping[str, str], method: str = "GET") -> AsyncIterator[Answer]:
        async with AsyncExitStack() as stack:
            with _interruptions(self._source):
                async with self._in_time():
                    opened = self._source.opened(self._client, self._file.place, headers, method)
                    answer = await stack.enter_async_context(opened)
            yield answer

    async def _receive(self, answer: Answer, part: Part) -> None:
        """Write what comes. What came before a connection broke is written too."""
        pending, coming = bytearray(), answer.response.aiter_raw()
        ended = False
        while not ended:
            try:
                with _interruptions(self._source):
                    async with self._in_time():
                        ended = await self._gather(coming, pending, part)
            finally:
                if pending and part.length + len(pending) <= self._file.size:
                    await off_loop(part.append, bytes(pending))
                    pending.clear()
                    self._show(TAKING, part)
        if part.length < self._file.size:
            raise DownloadInterruptedError(f"{self._source} ended after {part.length} bytes")

    async def _gather(self, coming: AsyncIterator[bytes], pending: bytearray, part: Part) -> bool:
        """Until a block is full; whether that was the end."""
        while len(pending) < self._patience.block:
            chunk = await anext(coming, None)
            if chunk is None:
                return True
            pending += chunk
            if part.length + len(pending) > self._file.size:
                part.remove()
                raise DownloadFailedError(
                    f"{self._source} sends more than the {self._file.size} bytes of {self._file.name}: it is another "
                    "file. It was not kept."
                )
        return False

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        seconds = self._patience.stall_seconds
        try:
            async with asyncio.timeout(seconds):
                yield
        except TimeoutError:
            raise DownloadInterruptedError(f"{self._source} sent too little in {seconds:g} s") from None

    def _show(self, doing: str, part: Part) -> None:
        self._progress.at(doing, self._file.label, part.length, self._file.size)


@contextmanager
def _interruptions(source: Source) -> Iterator[None]:
    """A connection that fails is tried again, unless whoever is there can't be trusted."""
    try:
        yield
    except httpx.TransportError as broken:
        if isinstance(broken, httpx.ConnectError) and (untrusted := _of_tls(broken)):
            raise DownloadFailedError(
                f"{source} can't be trusted: {first_line(untrusted)}. Behind a proxy with certificates of its own, "
                "name a file with them in SSL_CERT_FILE."
            ) from broken
        raise DownloadInterruptedError(f"{source}: {first_line(broken)}") from broken


def _of_tls(broken: BaseException | None) -> ssl.SSLError | None:
    while broken is not None and not isinstance(broken, ssl.SSLError):
        broken = broken.__cause__ or broken.__context__
    return broken
