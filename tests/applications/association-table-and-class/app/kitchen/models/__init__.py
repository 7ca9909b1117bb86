from kitchen.models.labelling import RecipeLabel
from kitchen.models.recipes import Ingredient, Label, Recipe

__all__ = ["Ingredient", "Label", "Recipe", "RecipeLabel"]
