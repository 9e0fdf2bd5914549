"""The one Secret that speakers get passwords by: written when it changes, by the leader alone."""

from __future__ import annotations

import base64
import logging

import msgspec
import pytest

from bellmetal import resources
from bellmetal.api import ApiError
from bellmetal.keychain import NAME, Keychain
from builders import metadata, peer
from small_api import SmallApi

PATH = f"/api/v1/namespaces/metallb-system/secrets/{NAME}"
TOR = peer(password="sesame")


def stored(**values: str) -> dict[str, object]:
    data = {name: base64.b64encode(value.encode()).decode() for name, value in values.items()}
    return {"metadata": {"name": NAME, "namespace": "metallb-system"}, "data": data}


def data(api: SmallApi) -> dict[str, str]:
    found = api.objects[PATH].get("data") or {}
    return {name: base64.b64decode(text).decode() for name, text in found.items()}


class Scene:
    def __init__(self) -> None:
        self.api = SmallApi()
        self.keychain = Keychain(self.api, "metallb-system", lambda: None)

    def told(self, name: str, text: str | None) -> None:
        """A watch brings a Secret."""
        value = None if text is None else base64.b64encode(text.encode()).decode()
        body = resources.StoredSecret(
            metadata=metadata(f"metallb-system/{name}"), data=resources.PasswordData(value)
        )
        self.keychain.secrets.collection.take(body)
        self.keychain.secrets.listed.set()


@pytest.fixture
def scene() -> Scene:
    return Scene()


async def test_it_is_made_with_the_first_password(scene: Scene) -> None:
    assert await scene.keychain.keep([peer()], {"tor"}) == ()
    assert scene.api.writes() == []
    await scene.keychain.keep([TOR], {"tor"})
    assert data(scene.api) == {"tor": "sesame"}
    assert scene.api.objects[PATH]["metadata"]["labels"] == {"app": "metallb"}


async def test_it_is_written_on_change_alone_and_only_what_changes(scene: Scene) -> None:
    scene.api.put(PATH, stored(tor="sesame", old="x"))
    await scene.keychain.keep([TOR], {"tor", "old"})
    assert scene.api.writes() == []
    await scene.keychain.keep([TOR, peer("core", password="y")], {"tor", "core"})
    [written] = scene.api.writes()
    assert written.body == {"data": {"core": base64.b64encode(b"y").decode(), "old": None}}
    assert data(scene.api) == {"tor": "sesame", "core": "y"}


async def test_a_password_comes_out_of_a_secret_and_follows_it(scene: Scene) -> None:
    asking = peer(password_secret="tor-secret")
    assert await scene.keychain.keep([asking], {"tor"}) == ()  # nobody knows yet
    scene.told("tor-secret", "one")
    await scene.keychain.keep([asking], {"tor"})
    assert data(scene.api) == {"tor": "one"}
    scene.told("tor-secret", None)
    [problem] = await scene.keychain.keep([asking], {"tor"})
    assert problem.message.endswith("; the last one stays in force")
    assert data(scene.api) == {"tor": "one"}


async def test_who_leads_anew_reads_it_first(scene: Scene) -> None:
    await scene.keychain.keep([TOR], {"tor"})
    scene.api.put(PATH, stored(tor="by another leader"))
    scene.keychain.forget()
    await scene.keychain.keep([TOR], {"tor"})
    assert data(scene.api) == {"tor": "sesame"}


async def test_after_a_write_that_failed_it_is_read_again(scene: Scene) -> None:
    await scene.keychain.keep([peer()], {"tor"})
    scene.api.put(PATH, stored(tor="by another leader"))
    with pytest.raises(ApiError):
        await scene.keychain.keep([TOR], {"tor"})  # made by another one meanwhile
    await scene.keychain.keep([TOR], {"tor"})
    assert data(scene.api) == {"tor": "sesame"}


async def test_no_log_and_no_text_has_a_value(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        await scene.keychain.keep([TOR, peer("core", password="y")], {"tor", "core"})
        await scene.keychain.keep([TOR], {"tor"})
    said = [f"Secret/{NAME} has the password of core, tor"]
    assert caplog.messages == [*said, f"Secret/{NAME} forgets the password of core"]


def test_what_is_read_shows_no_value() -> None:
    secret = base64.b64encode(b"sesame").decode()
    text = msgspec.json.encode({"metadata": {"name": "x"}, "data": {"password": secret}})
    for kind in (resources.StoredSecret, resources.StoredPasswords):
        assert secret not in repr(msgspec.json.decode(text, type=kind))
