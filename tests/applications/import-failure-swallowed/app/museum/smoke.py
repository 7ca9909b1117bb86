from museum.app import create_app

client = create_app().test_client()
for page in ("/paintings", "/coins"):
    assert client.get(page).status_code == 200, page
