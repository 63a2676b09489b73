"""The arithmetic of waiting."""

import random
from itertools import pairwise
from statistics import mean, pstdev

import pytest
from arrivals import Trip, jain, percentiles, poisson, queue_theory, rate_of, waits_by


def test_arrivals_are_a_poisson_process() -> None:
    moments = poisson(5.0, 20_000, random.Random(1))
    gaps = [after - before for before, after in pairwise(moments)]
    assert moments == sorted(moments)
    # Between arrivals of such a process, mean and deviation are the same.
    assert mean(gaps) == pytest.approx(0.2, rel=0.03)
    assert pstdev(gaps) == pytest.approx(0.2, rel=0.03)


def test_percentiles_and_rate() -> None:
    assert percentiles([float(number) for number in range(101)]) == {"p50": 50, "p95": 95, "p99": 99}
    assert rate_of([Trip(0, 0, 1.0, moment) for moment in (10.0, 12.0, 11.0)]) == 1.0


def test_fairness() -> None:
    assert jain([3.0, 3.0, 3.0]) == pytest.approx(1)
    assert jain([0.0, 0.0, 9.0, 0.0]) == pytest.approx(1 / 4)
    assert jain([0.0, 0.0]) == pytest.approx(1)


def test_waits_are_what_comes_on_top() -> None:
    trips = [Trip(0, 5, 1.5, 1.0), Trip(0, 6, 2.5, 2.0), Trip(1, 5, 0.9, 3.0)]
    assert waits_by(trips, "submitter", 1.0) == {0: 1.0, 1: 0.0}
    assert waits_by(trips, "partition", 1.0) == {5: 0.25, 6: 1.5}


def test_queue_theory() -> None:
    """At half its capacity, who comes waits for half a service on average."""
    assert queue_theory(0.5, 2.0) == pytest.approx(1.0)
    assert queue_theory(0.95, 1.0) == pytest.approx(9.5)
