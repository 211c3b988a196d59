import pandas as pd
from mlserver import MLModel
from mlserver.codecs import NumpyRequestCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse


class TableModel(MLModel):
    """Says what its request was decoded to by the content type of the whole request."""

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        decoded = self.decode_request(payload, default_codec=NumpyRequestCodec)
        if isinstance(decoded, pd.DataFrame):
            text = decoded.to_json(orient="split")
        else:
            text = f"{type(decoded).__name__} {decoded.tolist()}" if hasattr(decoded, "tolist") else str(decoded)
        return InferenceResponse(
            model_name=self.name, outputs=[StringCodec.encode_output("decoded", [text], use_bytes=False)]
        )
