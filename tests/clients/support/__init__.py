"""What the tests stand on: a gateway process, an upstream, an issuer, a reader of the trail. None of it is the gateway's own code."""
