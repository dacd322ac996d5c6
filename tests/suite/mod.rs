//! Whole stories over real sockets and the real binary.
