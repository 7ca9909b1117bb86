from league import matches, players, teams
from league.db import Base, Session, engine

MODELS = (matches.Match, players.Player, teams.Team)


def start():
    Base.metadata.create_all(engine)
    with Session() as session:
        session.add_all([teams.Team(town="Upton"), teams.Team(town="Downton")])
        player = players.Player(name="Sam", team=teams.find(session, "Upton"))
        session.add(player)
        players.transfer(session, player, "Downton")
        assert teams.strength(session, player.team) == 1
