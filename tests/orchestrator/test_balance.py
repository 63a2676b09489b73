"""Which partition a stage's request is put on."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.balance import Balance


def test_partitions_take_turns() -> None:
    balance = Balance({"sampling": 3})
    assert [balance.choose("sampling", str(number)) for number in range(6)] == [0, 1, 2, 0, 1, 2]


def test_the_one_with_least_to_do() -> None:
    balance = Balance({"sampling": 3})
    for number in range(6):
        balance.choose("sampling", str(number))
    balance.settled("4")
    assert balance.choose("sampling", "next") == 1
    balance.settled("nobody knows this one")
    balance.settled("4")
    assert balance.choose("sampling", "after") == 2


def test_a_worker_counts_with_all_its_partitions() -> None:
    balance = Balance({"sampling": 4})
    for partition in (0, 1, 2):
        balance.learn("sampling", partition, "one")
    balance.learn("sampling", 3, "other")
    chosen = Counter(balance.choose("sampling", str(number)) for number in range(8))
    assert chosen[3] == 4
    assert max(chosen[n] for n in (0, 1, 2)) <= 2


def test_what_is_learned_of_nothing_known_is_passed_over() -> None:
    balance = Balance({"sampling": 2})
    for step, partition in (("other", 0), ("sampling", 2), ("sampling", -1)):
        balance.learn(step, partition, "worker")
    assert balance.choose("sampling", "a") == 0


@given(st.lists(st.tuples(st.sampled_from("cs"), st.integers(0, 30)), max_size=60))
def test_no_partition_gets_two_more_than_another_that_has_nobody(events: list[tuple[str, int]]) -> None:
    balance, where = Balance({"sampling": 3}), dict[str, int]()
    for kind, number in events:
        if kind == "s":
            balance.settled(str(number))
            where.pop(str(number), None)
        elif str(number) not in where:
            load = Counter(where.values())
            chosen = where[str(number)] = balance.choose("sampling", str(number))
            assert load[chosen] == min(load[n] for n in range(3))
