from museum.app import create_app

assert create_app().test_client().get("/coins").status_code == 200
