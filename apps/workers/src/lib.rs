//! Workers of the reference product
