"""How the API server is reached: what a kubeconfig or a pod's service account says, judged before anything starts."""

import os
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import yaml
from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from angarium.domain.errors import SettingsError

ALTERNATIVES = "give another one with --kubeconfig FILE, or use `angarium dev` where there is no cluster"
_IN_CLUSTER = "KUBERNETES_SERVICE_HOST"
_MALFORMED = (ConfigException, OSError, LookupError, TypeError, ValueError)
"""What reading a malformed file may cause."""


async def configuration(kubeconfig: Path | None) -> Configuration:
    """How to reach the API server: a kubeconfig file, else the pod's own service account. Raises SettingsError."""
    config = Configuration()
    if kubeconfig is not None:
        await _load(kubeconfig, config)
    else:
        _load_service_account(config)
    # The session would read proxy variables and ~/.netrc anew for each request, each time in a thread.
    config.proxy = config.proxy or _proxy_for(config.host)
    config.client_session_kwargs = {"trust_env": False}
    return config


async def _load(kubeconfig: Path, config: Configuration) -> None:
    try:
        user = _user_of(kubeconfig)
        await load_kube_config(str(kubeconfig), client_configuration=config, persist_config=False)
        await _check(config, user)
    except _MALFORMED as error:
        raise SettingsError(f"the kubeconfig {kubeconfig} cannot be used: {_said(error)}; {ALTERNATIVES}") from error


def _load_service_account(config: Configuration) -> None:
    if not os.environ.get(_IN_CLUSTER):
        raise SettingsError(
            f"no cluster is found: this is no pod ({_IN_CLUSTER} is not set), and there is no kubeconfig; give one "
            "with --kubeconfig FILE, or use `angarium dev` where there is no cluster"
        )
    try:
        load_incluster_config(client_configuration=config)
        _check_certificates(config)
    except _MALFORMED as error:
        raise SettingsError(
            f"the pod's service account cannot be used: {_said(error)}; its token has to be mounted "
            "(automountServiceAccountToken), or give --kubeconfig FILE"
        ) from error


def _said(error: Exception) -> str:
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.rstrip(".")


def _user_of(kubeconfig: Path) -> dict[str, Any]:
    """The user of the current context, empty if it has none.

    Raises ValueError for what is no kubeconfig at all: the loader would say it in many lines, or in none.
    """
    try:
        content = yaml.safe_load(kubeconfig.read_text())
    except yaml.MarkedYAMLError as error:
        where = f" (line {error.problem_mark.line + 1})" if error.problem_mark else ""
        raise ValueError(f"it is no YAML{where}") from error
    except UnicodeDecodeError as error:
        raise ValueError("it is no text") from error
    if not isinstance(content, dict) or not content.get("current-context"):
        raise ValueError("it has no current-context")
    context = _named(content.get("contexts"), content["current-context"]).get("context") or {}
    return _named(content.get("users"), context.get("user")).get("user") or {}


def _named(entries: Any, name: Any) -> dict[str, Any]:
    found = (entry for entry in entries or () if isinstance(entry, dict) and entry.get("name") == name)
    return next(found, {})


async def _check(config: Configuration, user: dict[str, Any]) -> None:
    """Raises ValueError: certificates that cannot be read would end the operator later, in its own thread."""
    command = (user.get("exec") or {}).get("command")
    if command and not config.cert_file and "BearerToken" not in await config.auth_settings():
        raise ValueError(f"its command {command!r}, which is to give the credentials, gives none; run it to see why")
    _check_certificates(config)


def _check_certificates(config: Configuration) -> None:
    try:
        if config.ssl_ca_cert or config.ca_cert_data:
            ssl.create_default_context(cafile=config.ssl_ca_cert, cadata=config.ca_cert_data)
    except ssl.SSLError as error:
        raise ValueError("its certificate-authority is no certificate") from error
    try:
        if config.cert_file:
            ssl.create_default_context().load_cert_chain(config.cert_file, config.key_file)
    except ssl.SSLError as error:
        raise ValueError("its client certificate and key cannot be used") from error


def _proxy_for(host: str) -> str | None:
    """What HTTPS_PROXY and NO_PROXY say of the API server."""
    parts = urlsplit(host)
    return None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
