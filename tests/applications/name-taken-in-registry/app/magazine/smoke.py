from magazine.app import create_app

client = create_app().test_client()
for page in ("/admin/articles/", "/admin/readers/"):
    assert client.get(page).status_code == 200, page
