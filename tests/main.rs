//! The integration tests, in one binary: tests of the whole program over real sockets, and checks
//! of the source tree.

// The `.case` files: each is one request, checked at the caller, at upstream and in the trail.
mod cases;
// Scenarios with the real binary: crashes, hang-ups, an upstream that breaks off.
mod suite;
// Shared helpers.
mod support;
// Checks of the source tree: module dependencies, imports, and pages that must match the code.
mod tidy;
