"""TLS to a ClickHouse elsewhere: said once for a process, kept by address."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    import ssl

    import urllib3


class ClickHouseTls(msgspec.Struct, frozen=True):
    """Of the server at ``host:port`` (its HTTPS port). Paths are of PEM files; an empty one is not used.

    ``ca``: who may sign the server's certificate (empty: the usual authorities). ``certificate`` and ``key``: what this
    client shows.
    """

    host: str
    port: int
    ca: str = ""
    certificate: str = ""
    key: str = ""

    def pool_options(self) -> dict[str, Any]:
        """For the pool of connections of a client."""
        named = {"ca_cert": self.ca, "client_cert": self.certificate, "client_cert_key": self.key}
        return {"verify": True, **{name: path for name, path in named.items() if path}}

    def context(self) -> ssl.SSLContext:
        """For anything else that speaks TLS. Raises OSError for files that cannot be read."""
        import ssl  # a command that only reads the configuration does not wait for it

        context = ssl.create_default_context(cafile=self.ca or None)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key or None)
        return context


_known: dict[tuple[str, int], ClickHouseTls] = {}


def use(tls: ClickHouseTls | None) -> None:
    """From now on this process reaches that server, and no other one, by TLS; None: every one in plain."""
    _known.clear()
    if tls is not None:
        _known[tls.host, tls.port] = tls


def tls_of(host: str, port: int) -> ClickHouseTls | None:
    """How a server is reached; None: in plain."""
    return _known.get((host, port))


def connections(host: str, port: int, **options: Any) -> urllib3.HTTPConnectionPool:
    """A pool of connections to a server, for who speaks HTTP itself; ``options`` are urllib3's. Raises OSError."""
    import urllib3  # as above

    tls = tls_of(host, port)
    if tls is None:
        return urllib3.HTTPConnectionPool(host, port, **options)
    return urllib3.HTTPSConnectionPool(host, port, ssl_context=tls.context(), **options)
