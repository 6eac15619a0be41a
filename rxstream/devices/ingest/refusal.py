"""`Refusal`: why a request is not taken, as the answer of a web server."""

import json
from http import HTTPStatus
from typing import Any

__all__ = ["Refusal", "answer"]

# When to come again [s].
_RETRY = "1"


class Refusal(Exception):  # noqa: N818 - it is an answer, not a failure
    """Raised where a request is not taken.

    Parameters
    ----------
    status
        Status of the answer [HTTP].
    text
        What is wrong, and what to do.
    headers
        Further headers of the answer.
    more
        Further values of it, as ``row=3``.
    """

    def __init__(
        self, status: int, text: str, headers: dict[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(text)
        self.status, self.text, self.more = status, text, more
        self.headers = dict(headers or {})
        if status == 503:
            self.headers["Retry-After"] = _RETRY
        if status == 408:
            # what of the body is still to come is not waited for
            self.headers["Connection"] = "close"

    @property
    def line(self) -> str:
        """Status with its name."""
        return f"{self.status} {HTTPStatus(self.status).phrase}"

    @property
    def content(self) -> bytes:
        """Body of the answer."""
        return answer(error=self.text, **self.more)


def answer(**values: Any) -> bytes:
    """Return the body of an answer, JSON."""
    return json.dumps(values).encode() + b"\n"
