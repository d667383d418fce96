"""The Kubernetes API over plain paths and dicts: no model classes (they cost memory), errors told apart here."""

import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client.api_client import ApiClient
from kubernetes.aio.client.configuration import Configuration

from angarium.domain.declarations import Kind, ObjectRef
from angarium.domain.errors import AngariumError
from angarium.kube import nesting
from angarium.resources.manifest import API_VERSION

logger = logging.getLogger(__name__)

PLURALS = {
    Kind.ENDPOINT: "endpoints",
    Kind.TOPIC: "topics",
    Kind.SCHEDULE: "schedules",
    Kind.QUEUE: "queues",
    Kind.TOKEN: "tokens",
}
FIRST_PAGE, SMALLEST_PAGE, LARGEST_PAGE = 20, 4, 100
PAGE_BYTES = 256 * 2**10
"""About how large a page of a list is to be. Its JSON is parsed in one go, and nobody else gets the interpreter
meanwhile: some milliseconds. The API server takes a number of objects only, and the next ones may be the largest."""
TIMEOUT_S = 15
MOST_WARNINGS = 100

FIELD_MANAGER = "angarium"
"""As the API server names us in managedFields. Told with each write: what forwards us may change the User-Agent."""
WRITTEN_BY = {"fieldManager": FIELD_MANAGER}
UNAUTHORIZED = 401
UNKNOWN_CALLER = (
    "the API server does not take these credentials; the token of the service account or kubeconfig is wrong, has "
    "expired, or is of another cluster; if the ServiceAccount was made anew, delete the pod: the next one has a good "
    "token"
)

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"

Manifest = dict[str, Any]

TEST_FAILED = "the server rejected our request due to an error in our request"
"""All that the API server says, with 422, when the `test` of a JSON patch fails."""


class KubeError(AngariumError):
    """The API server refused or could not be asked; `status` is 0 when it did not answer."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status

    @property
    def unreachable(self) -> bool:
        """It may be a matter of time: no answer, or one that says that it cannot answer now."""
        return self.status == 0 or self.status == 429 or self.status >= 500

    @property
    def outdated(self) -> bool:
        """What a JSON patch tests first is no longer so: the object was changed, or is another one by now."""
        return self.status == 422 and TEST_FAILED in str(self)


def collection_path(kind: Kind, namespace: str | None) -> str:
    """The list of a kind in a namespace, or in all of them."""
    scope = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{API_VERSION}{scope}/{PLURALS[kind]}"


def object_path(ref: ObjectRef) -> str:
    return f"{collection_path(ref.kind, ref.namespace)}/{ref.name}"


def core_path(namespace: str, plural: str, name: str = "") -> str:
    """An object (or the list) of the core group, like a Secret."""
    return f"/api/v1/namespaces/{namespace}/{plural}" + (f"/{name}" if name else "")


class KubeClient:
    """One connection pool to the API server; belongs to the loop that uses it."""

    def __init__(self, config: Configuration) -> None:
        self._config = config
        self._api = ApiClient(config)
        self._warnings: set[str] = set()

    async def close(self) -> None:
        await self._api.close()

    async def get(self, path: str, **query: str | int) -> Manifest:
        """Raises KubeError; status 404 means that it does not exist."""
        return await self._call("GET", path, query)

    async def create(self, path: str, body: Manifest) -> Manifest:
        return await self._call("POST", path, WRITTEN_BY, body)

    async def patch(self, path: str, body: Manifest | list[Manifest], content_type: str) -> Manifest:
        return await self._call("PATCH", path, WRITTEN_BY, body, content_type)

    async def pages(self, path: str) -> AsyncIterator[list[Manifest]]:
        """A whole list in pages. Raises KubeError before it is complete, never ends early without one."""
        token, limit = "", FIRST_PAGE
        while True:
            query: dict[str, str | int] = {"limit": limit} | ({"continue": token} if token else {})
            status, data = await self._ask("GET", path, query)
            page = _decoded(status, data, f"GET {path}")
            items = page.get("items") or []
            limit = _next_limit(len(items), len(data))
            del data  # nobody needs it while the page is worked on
            yield items
            token = page.get("metadata", {}).get("continue") or ""
            if not token:
                return

    async def _call(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        body: Manifest | list[Manifest] | None = None,
        content_type: str = "application/json",
    ) -> Manifest:
        status, data = await self._ask(method, path, query, body, content_type)
        return _decoded(status, data, f"{method} {path}")

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int],
        body: Manifest | list[Manifest] | None = None,
        content_type: str = "application/json",
    ) -> tuple[int, bytes]:
        """HTTP status and body of the answer."""
        url = self._config.host + path + (f"?{urlencode(query)}" if query else "")
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "identity",  # the API server spends more on packing a list than the network on the rest
            "Content-Type": content_type,
            "User-Agent": FIELD_MANAGER,
        }
        bearer = (await self._config.auth_settings()).get("BearerToken")
        if bearer:
            headers["Authorization"] = str(bearer["value"])
        try:
            answer = await self._api.call_api(method, url, headers, body, _request_timeout=TIMEOUT_S)
            data: bytes = await answer.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise KubeError(0, f"{self._config.host} did not answer {method} {path}: {_why(error)}") from error
        self._pass_on(answer.headers.getall("Warning", ()), f"{method} {path}")
        return answer.status, data

    def _pass_on(self, warnings: Iterable[str], what: str) -> None:
        """Each warning once: that a status has a field which older CRDs do not know shows here and nowhere else."""
        for warning in warnings:
            if warning not in self._warnings and len(self._warnings) < MOST_WARNINGS:
                self._warnings.add(warning)
                logger.warning("the API server warns about %s: %s", what, warning, extra={"action": "apiserver.warn"})


def _next_limit(objects: int, size: int) -> int:
    """How many objects like these, which took so many bytes, fit into a page; a few if they are large."""
    return max(SMALLEST_PAGE, min(LARGEST_PAGE, objects * PAGE_BYTES // max(1, size)))


def _decoded(status: int, data: bytes, what: str) -> Manifest:
    try:
        decoded = nesting.loads(data)
    except ValueError as error:
        if 200 <= status < 300:
            raise KubeError(0, f"the API server's answer to {what} is no JSON") from error
        decoded = {}
    if not 200 <= status < 300:
        message = (decoded.get("message") if isinstance(decoded, dict) else None) or f"HTTP {status}"
        hint = f"{UNKNOWN_CALLER}: " if status == UNAUTHORIZED else ""
        raise KubeError(status, f"{hint}{what}: {message}")
    if not isinstance(decoded, dict):
        raise KubeError(0, f"the API server's answer to {what} is no object")
    return decoded


def _why(error: Exception) -> str:
    """What kept a request from being answered, as a person says it."""
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return (
                f"its certificate is not trusted ({_plain(error.certificate_error)}); compare certificate-authority of "
                "the kubeconfig, or the service account's ca.crt, with this cluster"
            )
        case aiohttp.ClientConnectorError():
            number = error.os_error.errno or 0  # of a name that is not found: below 0, and the text is good as it is
            return f"no connection ({os.strerror(number) if number > 0 else error.os_error.strerror or error.os_error})"
        case TimeoutError():
            return f"nothing came within {TIMEOUT_S} s"
    return str(error) or type(error).__name__


def _plain(error: Exception) -> str:
    return getattr(error, "verify_message", "") or str(error)
