"""Served models that several tests share."""

import threading
from collections.abc import Callable

import pytest

from sbp_bayes.model.hugging_face import export_model
from sbp_bayes.synthesis.server import CompletionServer


@pytest.fixture
def serve_folder():
    """``serve_folder(folder)``: a server of an exported model, running in this process."""
    servers = []

    def start(folder, **options) -> CompletionServer:
        servers.append(CompletionServer(folder, **options))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def serve(serve_folder, tokenizer, tmp_path) -> Callable[..., CompletionServer]:
    """``serve(model)``: the same for a model, exported first."""

    def start(model, **options) -> CompletionServer:
        folder = tmp_path / f"exported{len(list(tmp_path.glob('exported*')))}"
        export_model(model, tokenizer, folder, context=64)
        return serve_folder(folder, **options)

    return start
