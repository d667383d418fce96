"""The description of this API. Public: a client generator has no token, and nothing in it is a tenant's."""

from importlib.resources import files

from angarium.api.exchange import Answer, Call
from angarium.api.routes import Need, Route

DOCUMENT = files("angarium.api") / "openapi.yaml"
_HEADERS = {"Content-Type": "application/yaml", "Cache-Control": "public, max-age=3600"}


class OpenApiHandlers:
    """Serving openapi.yaml as it is packaged."""

    def __init__(self) -> None:
        self._answer = Answer(DOCUMENT.read_bytes(), headers=_HEADERS)

    def routes(self) -> tuple[Route, ...]:
        return (Route("GET", "/openapi.yaml", Need.NOTHING, self.document),)

    async def document(self, call: Call) -> Answer:
        """OpenAPI 3.1 in YAML."""
        return self._answer
