"""What it is told of itself and of its request, as JSON; a metric and a log line of each request."""

import json

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.args = args
        self.colour = json.loads(args["model_config"])["parameters"]["colour"]["string_value"]
        family = pb_utils.MetricFamily(name="facts_told", description="Facts told.", kind=pb_utils.MetricFamily.COUNTER)
        self.metric = family.Metric(labels={"colour": self.colour})
        pb_utils.Logger.log_info("facts are ready")

    def execute(self, requests):
        responses = []
        for request in requests:
            self.metric.increment(2)
            facts = {
                "colour": self.colour,
                "name": self.args["model_name"],
                "version": self.args["model_version"],
                "kind": self.args["model_instance_kind"],
                "id": request.request_id(),
                "parameters": json.loads(request.parameters()),
                "correlation": request.correlation_id(),
                "flags": request.flags(),
                "outputs": request.requested_output_names(),
                "ready": [pb_utils.is_model_ready(name) for name in ("add_sub", "nobody")],
            }
            text = np.array([json.dumps(facts)], dtype=object)
            outputs = [pb_utils.Tensor("FACTS", text), pb_utils.Tensor("REST", np.zeros(1, np.int32))]
            responses.append(pb_utils.InferenceResponse(outputs, parameters={"told": True, "weight": 1.5}))
        return responses
