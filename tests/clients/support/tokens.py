"""Tokens and key sets made with PyJWT and cryptography, independent of the gateway's code."""

import functools
import json
import time
import uuid

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

ISSUER = "https://login.example.com/"
AUDIENCE = "lychgate"
ACCOUNT = "12345678"
SCOPES = "users.read users.write users.delete"
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]

#: Every token made in this run: none of them may be found in what the gateway leaves behind.
MADE = set()


@functools.cache
def private_key(kind):
    """One key of each kind per run."""
    if kind == "RSA":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    if kind == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "stranger": ec.SECP256R1}[kind]())


def kind_of(algorithm):
    return "RSA" if algorithm[:2] in ("RS", "PS") else algorithm


def jwk(kind):
    """The public key in PyJWT's format, with a key id."""
    algorithm = jwt.get_algorithm_by_name("RS256" if kind == "RSA" else kind)
    made = algorithm.to_jwk(private_key(kind).public_key(), as_dict=True)
    return {**made, "kid": f"key-{kind}", "use": "sig"}


def key_set(*kinds):
    return json.dumps({"keys": [jwk(kind) for kind in kinds or ("RSA", "ES256", "ES384", "EdDSA")]})


def claims(**changes):
    """Valid claims; a change to None removes a claim."""
    now = int(time.time())
    good = {"iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "client_id": "nightly-cleanup", "iat": now, "exp": now + 600,
            "jti": str(uuid.uuid4()), "accounts": [ACCOUNT], "scope": SCOPES}
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(algorithm="ES256", headers=None, key=None, **changes):
    """A signed token; `headers` are added to its header, and None removes one."""
    head = {"kid": f"key-{kind_of(algorithm)}", **(headers or {})}
    head = {name: value for name, value in head.items() if value is not None or name == "typ"}
    made = jwt.encode(claims(**changes), key or private_key(kind_of(algorithm)), algorithm=algorithm, headers=head)
    MADE.add(made)
    return made
