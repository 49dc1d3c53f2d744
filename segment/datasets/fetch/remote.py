"""Open a file at a URL, at an offset."""

import http.client
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

from segment import __version__
from segment.errors import UserError

TIMEOUT_S = 60.0  # without a byte
CHUNK = 2**18  # bytes
TEMPORARY = (408, 425, 429, 500, 502, 503, 504)  # HTTP statuses after which a retry may succeed
PAGES = ("text/html", "application/xhtml+xml")
RANGE_REFUSED = 416

# Unlike urllib's default opener, this one does not follow redirects to FTP.
OPENER = urllib.request.OpenerDirector()
for handler in (
    urllib.request.ProxyHandler,
    urllib.request.HTTPHandler,
    urllib.request.HTTPSHandler,
    urllib.request.HTTPRedirectHandler,
    urllib.request.HTTPErrorProcessor,
    urllib.request.HTTPDefaultErrorHandler,
    urllib.request.UnknownHandler,
):
    OPENER.add_handler(handler())


class DroppedError(Exception):
    """The connection failed for a reason that may be temporary.

    Attributes:
        wait_s: Seconds to wait before the next attempt, as the server requests.
    """

    def __init__(self, reason: str, wait_s: float = 0) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


@dataclass(frozen=True)
class Remote:
    """An open file.

    Attributes:
        stream: Its bytes from the offset to the end.
        offset: Where the stream begins. It is 0 if the server does not support ranges.
        total: Size of the whole file in bytes; None if the server does not state it.
        validator: A value that changes with the content: a strong ETag, or else the time of the last modification.
            None: unknown.
    """

    stream: IO[bytes]
    offset: int
    total: int | None
    validator: str | None

    def chunks(self) -> Iterator[bytes]:
        """Yield the bytes in chunks.

        Raises:
            DroppedError: When the connection fails or ends before the last byte.
        """
        position = self.offset
        while chunk := self._read():
            position += len(chunk)
            yield chunk
        if self.total is not None and position != self.total:
            msg = f"the connection ended after {position} of {self.total} bytes"
            raise DroppedError(msg)

    def _read(self) -> bytes:
        try:
            return self.stream.read(CHUNK)
        except (http.client.HTTPException, OSError) as error:
            raise DroppedError(str(error) or type(error).__name__) from error


@contextmanager
def open_remote(url: str, offset: int, validator: str | None) -> Iterator[Remote]:
    """Open `url` at `offset` if its content still matches `validator`, else at 0.

    Raises:
        DroppedError: When the server cannot be reached.
        UserError: When the URL is not http, https or file, or there is no file at the URL.
    """
    scheme = urlsplit(url).scheme
    if scheme == "file":
        with _open_file(url, offset) as remote:
            yield remote
    elif scheme in ("http", "https"):
        with _request(url, offset, validator) as response:
            yield _parse_response(url, response)
    else:
        msg = f"cannot download {url}: only http, https and file URLs are supported; give one of these"
        raise UserError(msg)


@contextmanager
def _open_file(url: str, offset: int) -> Iterator[Remote]:
    path = Path(urllib.request.url2pathname(urlsplit(url).path))
    if not path.is_file():
        msg = f"there is no file {path}; correct the URL {url}"
        raise UserError(msg)
    status = path.stat()
    with path.open("rb") as stream:
        stream.seek(offset)
        yield Remote(stream, offset, status.st_size, f"{status.st_mtime_ns}-{status.st_ino}")


def _request(url: str, offset: int, validator: str | None) -> http.client.HTTPResponse:
    headers = {"User-Agent": f"segment/{__version__}", "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
        if validator is not None:
            headers["If-Range"] = validator
    try:
        response = OPENER.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == RANGE_REFUSED and offset:
            return _request(url, 0, None)
        raise _http_error(url, error.code, error.headers) from error
    except (http.client.HTTPException, OSError) as error:
        reason = getattr(error, "reason", None) or error
        msg = f"{urlsplit(url).hostname} cannot be reached ({reason})"
        raise DroppedError(msg) from error
    assert isinstance(response, http.client.HTTPResponse)  # urllib's annotation is less precise
    return response


def _http_error(url: str, status: int, headers: Message) -> Exception:
    if status in TEMPORARY:
        wait = headers.get("Retry-After", "")
        return DroppedError(f"the server answers {status}", float(wait) if wait.isdecimal() else 0)
    if status in (404, 410):
        return UserError(
            f"{url} no longer exists (HTTP {status}); find the new address of the file on the data set's home page"
        )
    if status in (401, 403):
        return UserError(f"{url} cannot be read without signing in (HTTP {status}); download it with a browser")
    return UserError(f"{url} cannot be downloaded (HTTP {status}); download it with a browser")


def _parse_response(url: str, response: http.client.HTTPResponse) -> Remote:
    headers = response.headers
    if headers.get_content_type() in PAGES and not url.endswith((".html", ".htm")):
        msg = f"{url} leads to a web page, not to the file; open it in a browser and download the file by hand"
        raise UserError(msg)
    if headers.get("Content-Encoding", "identity") != "identity":
        msg = f"{url} is sent in a compressed form that was not requested; download the file by hand"
        raise UserError(msg)
    etag = headers.get("ETag", "")
    validator = etag if etag.startswith('"') else headers.get("Last-Modified")
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", headers.get("Content-Range", ""))
    if response.status == 206 and span:
        return Remote(response, int(span[1]), int(span[2]), validator)
    if response.status == 206:
        msg = f"{url}: the server sends a part of the file and does not state which part; download the file by hand"
        raise UserError(msg)
    length = headers.get("Content-Length", "")
    return Remote(response, 0, int(length) if length.isdecimal() else None, validator)
