from mlserver import MLModel, ModelSettings
from mlserver.codecs import NumpyCodec, NumpyRequestCodec
from mlserver.types import InferenceRequest, InferenceResponse
from mlserver.utils import get_model_uri


class Scaler(MLModel):
    def __init__(self, settings: ModelSettings):
        super().__init__(settings)
        self.scale = None

    async def load(self) -> bool:
        path = await get_model_uri(self._settings, wellknown_filenames=["scale.txt"])
        with open(path) as file:
            self.scale = float(file.read())
        self.ready = True
        return self.ready

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        decoded = self.decode_request(payload, default_codec=NumpyRequestCodec)
        return InferenceResponse(
            model_name=self.name,
            model_version=self.version,
            outputs=[NumpyCodec.encode_output("scaled", decoded * self.scale)],
        )
