"""A real OAuth 2 token server on loopback: client credentials in, a signed JWT out."""

import base64
import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

AUDIENCE = "kafka-of-the-test"


class TokenServer(ThreadingHTTPServer):
    """Gives ``ann`` tokens for her password; ``asked`` holds each form that came."""

    daemon_threads = True

    def __init__(self, password, jwks):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.basic = "Basic " + base64.b64encode(f"ann:{password}".encode()).decode()
        self.asked = []
        public = json.loads(RSAAlgorithm.to_jwk(self.key.public_key()))
        jwks.write_text(json.dumps({"keys": [{**public, "kid": "k1", "alg": "RS256", "use": "sig"}]}))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/token"

    def token(self, seconds=300):
        now = int(time.time())
        claims = {"sub": "ann", "aud": AUDIENCE, "iat": now, "exp": now + seconds, "scope": "kafka"}
        return {
            "access_token": jwt.encode(claims, self.key, "RS256", {"kid": "k1"}),
            "expires_in": seconds,
            "token_type": "Bearer",
        }


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked.append(form)
        good = self.headers["Authorization"] == self.server.basic and form["grant_type"] == ["client_credentials"]
        body = json.dumps(self.server.token() if good else {"error": "invalid_client"}).encode()
        self.send_response(200 if good else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        """Nothing."""


@contextmanager
def token_server(password, jwks):
    """One that runs; its public keys are written to ``jwks``."""
    server = TokenServer(password, jwks)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
