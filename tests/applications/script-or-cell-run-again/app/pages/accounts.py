from board.accounts import Account
from board.db import Session

page.title("Accounts")  # noqa: F821
with Session() as session:
    for account in session.query(Account).order_by(Account.number):
        page.metric(account.number, account.title)  # noqa: F821
