"""datatrove's InferenceRunner, which passes on the text of answers, made to pass on their token ids."""

import dataclasses
import json

from datatrove.pipeline.inference.run_inference import InferenceRunner
from datatrove.pipeline.inference.servers import EndpointServer, InferenceServer


class PlainEndpoint(EndpointServer):
    """A server elsewhere, spoken to over plain HTTP: OpenAI's client would drop the token ids."""

    def __init__(self, config, rank: int):
        InferenceServer.__init__(self, config, rank)
        self.endpoint_url, self.client = config.endpoint_url, None


class TokenRunner(InferenceRunner):
    """The text of each result is the answer's choice in JSON: token ids, log-probabilities and finish_reason."""

    def _init_server(self, rank: int) -> InferenceServer:
        if self.config.server_type == "endpoint":
            server: InferenceServer = PlainEndpoint(self.config, rank)
        else:
            # A custom server takes its script out of the settings, which the next rank needs again.
            self.config = dataclasses.replace(self.config, model_kwargs=dict(self.config.model_kwargs))
            server = super()._init_server(rank)
        request = server.make_request

        async def with_tokens(payload: dict) -> dict:
            answer = await request(payload)
            for choice in answer["choices"]:
                choice["text"] = json.dumps({key: value for key, value in choice.items() if key != "text"})
            return answer

        server.make_request = with_tokens
        return server
