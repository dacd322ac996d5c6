//! Tests of the journal against a simple model.
