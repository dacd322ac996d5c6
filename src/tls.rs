//! TLS on the client's side: which roots are trusted.
