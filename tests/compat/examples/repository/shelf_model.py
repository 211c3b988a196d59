from typing import List

from mlserver import MLModel
from mlserver.codecs import decode_args


class Colour(MLModel):
    @decode_args
    async def predict(self, things: List[str]) -> List[str]:
        return [f"{self.name} {thing}" for thing in things]
