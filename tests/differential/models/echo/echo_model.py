from mlserver import MLModel, types


class EchoModel(MLModel):
    """Each input decoded by its content type and encoded again by the same."""

    async def predict(self, payload: types.InferenceRequest) -> types.InferenceResponse:
        outputs = []
        for tensor in payload.inputs:
            decoded = self.decode(tensor)
            if isinstance(decoded, types.TensorData):
                outputs.append(
                    types.ResponseOutput(
                        name=tensor.name,
                        shape=tensor.shape,
                        datatype=tensor.datatype,
                        data=decoded,
                        parameters=tensor.parameters,
                    )
                )
            else:
                outputs.append(
                    self.encode(decoded, types.RequestOutput(name=tensor.name, parameters=tensor.parameters))
                )
        response = types.InferenceResponse(model_name=self.name, outputs=outputs)
        extra = payload.parameters.model_dump(exclude={"headers"}, exclude_none=True) if payload.parameters else {}
        if extra:
            response.parameters = types.Parameters(**extra)
        return response
