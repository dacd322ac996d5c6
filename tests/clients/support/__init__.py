"""Helpers of the tests: a gateway process, an upstream, an issuer, a reader of the trail. They share no code with the gateway."""
