//! The one test binary: whole-program tests over real sockets, and the tree's own tidiness.

// The `.case` files: one request each, judged at both ends and in the trail.
mod cases;
// Whole stories: crashes, hang-ups, an upstream that breaks off.
mod suite;
// What they stand on.
mod support;
// Who may know whom, sizes, pages that follow the code.
mod tidy;
