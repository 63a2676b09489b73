"""The same verbs over a gateway, which is a real one with stages that stand in."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli import over_http, submit
from orchestrator.cli.downloads import Downloads
from orchestrator.cli.main import main
from orchestrator.cli.over_http import portions
from orchestrator.client import Limits, Picture
from shared_utils.signals import STOPPED
from shared_utils.transports.kafka.embedded import EmbeddedBroker
from tests.orchestrator.gateway.drawn import picture
from tests.orchestrator.gateway.house import House, gateway_on, house_on

KEY = "k" * 32


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with EmbeddedBroker() as broker, house_on(broker, tmp_path_factory.mktemp("house")) as made:
        yield made


@pytest.fixture
def held(house: House) -> Iterator[House]:
    """One in which nothing comes further than to its first stages."""
    house.hold()
    yield house
    house.go()


@pytest.fixture(autouse=True)
def server(house: House, monkeypatch: pytest.MonkeyPatch) -> str:
    """Its address, which commands find in the environment."""
    url = f"http://127.0.0.1:{house.running.http_port}"
    monkeypatch.setenv("VTRYON_SERVER", url)
    return url


@pytest.fixture
def asked(tmp_path: Path) -> list[str]:
    """What to ask with: one person, two garments."""
    for name in ("person", "striped", "plain"):
        (tmp_path / f"{name}.png").write_bytes(picture())
    return ["submit", "--person", "person.png", "--garment", "striped.png", "plain.png"]


def test_asked_looked_at_and_stopped(
    held: House, server: str, asked: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*asked, "--server", server, "--seed", "7"]) == 0
    shown = capsys.readouterr()
    striped, plain = shown.out.split()
    assert f"vtryon status ID --server {server}" in shown.err
    held.wait(striped, "running")
    assert main(["status", striped]) == 0
    shown = capsys.readouterr()
    assert f"try-on   {striped}\nstate    running\nasked    " in shown.out
    assert main(["status", striped, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seed"] == 7
    assert main(["cancel", striped, "--server", server]) == 0
    assert f"vtryon status {striped} --server {server}" in capsys.readouterr().out
    held.wait(striped, "cancelled")
    assert main(["cancel", striped]) == 1
    assert f"{striped} has ended already: cancelled" in capsys.readouterr().err
    held.go()
    held.wait(plain, "succeeded")
    assert main(["cancel", plain]) == 1
    assert f"{plain} has ended already: succeeded" in capsys.readouterr().err
    assert main(["status", striped]) == 0
    assert "problem  CANCELLED" in capsys.readouterr().out
    assert main(["list", "--limit", "2"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert {(row[0], row[-1]) for row in rows} == {("cancelled", striped), ("succeeded", plain)}
    assert main(["list", "--state", "cancelled", "--limit", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == striped


def test_watched_and_downloaded(asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*asked, "--watch", "--output", "done"]) == 0
    shown = capsys.readouterr()
    assert [row.split()[:2] for row in shown.out.strip().splitlines()[1:]] == [
        ["striped.png", "succeeded"],
        ["plain.png", "succeeded"],
    ]
    assert "done/striped.png" in shown.out
    assert {file.name for file in (tmp_path / "done").iterdir()} == {"striped.png", "plain.png"}
    assert (tmp_path / "done" / "plain.png").read_bytes()[1:4] == b"PNG"
    assert main([*asked[:-1], "--watch", "--output", "done"]) == 0
    assert "The picture: done/striped-2.png" in capsys.readouterr().out


def test_one_of_many_fails(house: House, asked: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    house.orchestra.stages["decoding"].fail()
    assert main([*asked, "--watch", "--output", "done", "--json"]) == 1
    views = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sorted(view["state"] for view in views) == ["failed", "succeeded"]
    assert len(list((tmp_path / "done").iterdir())) == 1


def test_many_are_followed_though_few_at_a_time(
    asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(over_http, "STREAMS", 1)
    assert main([*asked, "striped.png", "plain.png", "--watch"]) == 0
    assert "(4 of 4)" in capsys.readouterr().err


def test_ctrl_c_leaves_it_running(
    held: House, server: str, asked: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(tryons: object, moments: Iterator[None]) -> None:
        next(moments)
        raise KeyboardInterrupt

    monkeypatch.setattr(submit, "watch", interrupted)
    assert main([*asked[:-1], "--watch", "--server", server]) == STOPPED
    shown = capsys.readouterr().err
    name = shown.split()[1]
    assert f"vtryon cancel {name} --server {server}" in shown
    held.go()
    held.wait(name, "succeeded")


def test_what_is_refused(asked: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*asked, "--steps", "0"]) == 1
    assert "vtryon: steps='0' is not usable" in capsys.readouterr().err
    assert main(["submit", "--person", "nobody.png", "--garment", "plain.png"]) == 1
    assert "nobody.png can't be read" in capsys.readouterr().err
    assert main([*asked, "--output", "done"]) == 1
    assert "it needs --server and --watch" in capsys.readouterr().err
    assert main(["status", "nobody"]) == 1
    assert "There is no try-on nobody" in capsys.readouterr().err
    assert main(["list", "--server", "nonsense"]) == 1
    assert "give http://host:port" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("sizes", "most_mb", "most", "cut"),
    [
        ([10, 10, 10], 100, 100, [3]),
        ([10, 10, 10], 100, 2, [2, 1]),
        ([40, 40, 40], 100, 100, [2, 1]),
        ([500, 10, 500], 100, 100, [1, 1, 1]),
        ([], 100, 100, []),
    ],
)
def test_as_many_in_a_call_as_a_gateway_takes(
    sizes: list[int], most_mb: float, most: int, cut: list[int], tmp_path: Path
) -> None:
    garments = [tmp_path / f"{number}.png" for number in range(len(sizes))]
    for garment, size in zip(garments, sizes, strict=True):
        garment.write_bytes(bytes(size * 1000))
    found = list(portions(garments, Limits(max_upload_mb=most_mb / 1000, max_garments=most), 10_000))
    assert [len(some) for some in found] == cut
    assert [garment for some in found for garment in some] == garments


def test_no_picture_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"mine")
    downloads = Downloads(tmp_path)
    files = [downloads.save(Picture(b"1", ".png"), name) for name in ("a.png", "a.jpg", "b.c.png", "../a.png")]
    assert [file.name for file in files] == ["a-2.png", "a-3.png", "b.c.png", "a-4.png"]
    assert all(file.parent == tmp_path for file in files)
    assert (tmp_path / "a.png").read_bytes() == b"mine"


def test_the_key_is_shown_and_not_said(
    house: House, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = json.dumps({"me": KEY})
    with gateway_on(house.orchestra, gateway_api_keys=keys) as locked:
        command = ["list", "--server", f"http://127.0.0.1:{locked.running.http_port}"]
        monkeypatch.setenv("VTRYON_API_KEY", KEY)
        assert main(command) == 0
        monkeypatch.setenv("VTRYON_API_KEY", "another key")
        assert main(command) == 1
    assert "another key" not in capsys.readouterr().err
