"""A server of an exported model in a process of its own, as datatrove starts one: ``--port N --model FOLDER``."""

import argparse
from pathlib import Path


def main() -> None:
    from sbp_bayes.synthesis.server import CompletionServer

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True)
    options = parser.parse_args()
    CompletionServer(options.model, port=options.port).serve_forever()


if __name__ == "__main__":
    main()
