"""The listening socket: bound before anything runs, so that what is wrong is said at once and in one sentence."""

import errno
import socket
from ipaddress import ip_address

from automations.errors import AutomationsError, InvalidInput, Refused

_BACKLOG = 1024


def listen(host: str, port: int, *, guarded: bool = False) -> socket.socket:
    """Bind and listen; port 0 takes any free one. `guarded` says that there are tokens to tell callers apart.

    Raises InvalidInput for a host that does not resolve or a port that cannot be, Refused for an address that others
    than this machine can reach while nothing is guarded, AutomationsError (`port_in_use`) when somebody listens there already.
    """
    if not host:
        raise InvalidInput("the host to listen on is empty", hint="give an address such as 127.0.0.1")
    if not 0 <= port <= 65_535:
        raise InvalidInput(f"the port {port} is not from 0 to 65535", hint="give a free port such as 7391")
    family, address = _resolved(host, port)
    if not guarded and not ip_address(address[0]).is_loopback:
        raise Refused(
            f"listening on {host} would let other machines in, and there are no API tokens to tell them apart",
            hint="make one with: automations token create NAME, or listen on 127.0.0.1 behind a proxy that knows your callers",
        )
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)  # noqa: FBT003  # the standard library's own signature
    except OSError as problem:
        listener.close()
        raise _unusable(problem, host=host, port=port) from problem
    return listener


def authority(host: str, port: int) -> str:
    """A host and a port as a URL has them: an IPv6 address stands in brackets (RFC 3986, 3.2.2)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _resolved(host: str, port: int) -> tuple[int, tuple[str, int]]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as problem:
        raise InvalidInput(f"the host {host} does not resolve", hint="give an address such as 127.0.0.1") from problem
    family, _, _, _, address = found[0]
    return family, (str(address[0]), int(address[1]))


def _unusable(problem: OSError, *, host: str, port: int) -> AutomationsError:
    if problem.errno == errno.EADDRINUSE:
        from automations.web.port_holder import holder  # noqa: PLC0415  # only where somebody listens already

        who = holder(host, port)
        return AutomationsError(
            f"port {port} on {host} is in use" + (f": it is held by {who}" if who else ""),
            hint="stop what listens there, or choose another with --port (0 takes a free one)",
            code="port_in_use",
        )
    return AutomationsError(
        f"port {port} on {host} cannot be listened on: {problem.strerror}",
        hint="choose another with --port; those below 1024 need special rights",
        code="port_unavailable",
    )
