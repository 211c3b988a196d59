from typing import List

from mlserver.errors import ModelNotFound
from mlserver.repository import ModelRepository
from mlserver.settings import ModelParameters, ModelSettings
from shelf_model import Colour


class Shelf(ModelRepository):
    def __init__(self, root: str, names: List[str]):
        self._models = [
            ModelSettings(name=name, implementation=Colour, parameters=ModelParameters(version="1", uri=root))
            for name in names
        ]

    async def list(self) -> List[ModelSettings]:
        return self._models

    async def find(self, name: str) -> List[ModelSettings]:
        found = [model for model in self._models if model.name == name]
        if not found:
            raise ModelNotFound(name)
        return found
