from exhibits.models.exhibit import Exhibit
from exhibits.models.upload import Upload
from exhibits.models.visitor import Visitor

__all__ = ["Exhibit", "Upload", "Visitor"]
