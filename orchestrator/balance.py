"""Which partition a stage's request is best put on: the one whose worker has least to do."""

from collections import Counter
from collections.abc import Mapping


class Balance:
    """Knows what it has sent and what has been answered. Who works on which partition it learns from the answers."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self._partitions = partitions
        self._sent: dict[str, tuple[str, int]] = {}
        self._load: Counter[tuple[str, int]] = Counter()
        self._worker: dict[tuple[str, int], str] = {}
        self._turn: Counter[str] = Counter()

    def choose(self, step: str, request_id: str) -> int:
        """A partition for this request, which counts as its load until it is settled."""
        count = self._partitions[step]
        by_worker: Counter[str] = Counter()
        for number in range(count):
            by_worker[self._worker_of(step, number)] += self._load[step, number]
        turn = self._turn[step]
        best = min(
            range(count),
            key=lambda n: (by_worker[self._worker_of(step, n)], self._load[step, n], (n - turn) % count),
        )
        self._turn[step] = (best + 1) % count
        self._sent[request_id] = (step, best)
        self._load[step, best] += 1
        return best

    def settled(self, request_id: str) -> None:
        """It has been answered, or nobody waits for it any more."""
        place = self._sent.pop(request_id, None)
        if place is not None:
            self._load[place] -= 1

    def learn(self, step: str, partition: int, worker: str) -> None:
        """Who answered a request from this partition."""
        if step in self._partitions and 0 <= partition < self._partitions[step]:
            self._worker[step, partition] = worker

    def _worker_of(self, step: str, partition: int) -> str:
        return self._worker.get((step, partition), f"of partition {partition}")
