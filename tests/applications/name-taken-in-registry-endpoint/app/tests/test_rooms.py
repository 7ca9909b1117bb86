import pytest

from museum.app import create_app


@pytest.fixture
def client():
    return create_app().test_client()


def test_rooms_are_for_members(client):
    assert client.get("/rooms/").status_code == 401
    assert client.get("/rooms/open", headers={"Authorization": "member"}).json == ["east"]
