"""JSON over HTTP with patience: a server that is busy or starting is asked again, one that refuses is not."""

import http.client
import json
import threading
import urllib.error
import urllib.parse
import urllib.request

from sbp_bayes.errors import UserError

ATTEMPTS = 7  # with waits of 1, 2, 4, ... seconds in between: about a minute
FIRST_WAIT_SECONDS = 1.0
TIMEOUT_SECONDS = 600.0
BUSY = {408, 409, 425, 429, 500, 502, 503, 504}


class HttpJson:
    """A server at ``url``; key: sent as a bearer token where there is one. Setting ``stopped`` ends all patience."""

    def __init__(self, url: str, key: str = ""):
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UserError(f"{url!r}: expected a server's address such as http://localhost:8000")
        self.url = url.rstrip("/").removesuffix("/v1")
        self.headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        self.stopped = threading.Event()

    def get(self, path: str) -> dict:
        """The answer to GET, asked once. UserError: no answer, a refusal, or no JSON object."""
        return self._ask(path, None, 1)

    def post(self, path: str, body: dict) -> dict:
        """The answer to POST of ``body``. UserError: no answer after `ATTEMPTS`, a refusal, or no JSON object."""
        return self._ask(path, json.dumps(body).encode(), ATTEMPTS)

    def _ask(self, path: str, content: bytes | None, attempts: int) -> dict:
        request = urllib.request.Request(self.url + path, content, self.headers)
        reason = ""
        for attempt in range(attempts):
            if attempt and self.stopped.wait(FIRST_WAIT_SECONDS * 2 ** (attempt - 1)):
                break
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
                    answer = json.load(response)
                if not isinstance(answer, dict):
                    raise UserError(f"{self.url}{path}: expected a JSON object, got {str(answer)[:60]}")
                return answer
            except urllib.error.HTTPError as error:
                with error:
                    reason = f"{error.code} {error.reason}: {_message(error.read())}"
                if error.code not in BUSY:
                    raise UserError(f"{self.url}{path}: refused ({reason})") from error
            except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
                reason = str(getattr(error, "reason", None) or error) or type(error).__name__
            except ValueError as error:
                raise UserError(f"{self.url}{path}: not JSON ({error})") from error
        raise UserError(f"{self.url}{path}: no answer ({reason})")


def _message(content: bytes) -> str:
    """What a server says of an error, in one line."""
    try:
        answer = json.loads(content)
        message = answer["error"]["message"] if isinstance(answer.get("error"), dict) else answer
    except (ValueError, KeyError, AttributeError):
        message = content.decode("utf-8", "replace")
    return " ".join(str(message).split())[:300]
