from kitchen.models import Label, RecipeLabel


def put(session, recipe, label, who):
    session.add(RecipeLabel(recipe_id=recipe.id, label_id=label.id, set_by=who))


def all_names(session):
    return [label.name for label in session.query(Label).order_by(Label.name)]
