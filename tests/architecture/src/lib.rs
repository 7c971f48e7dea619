//! Tests over the shape of this workspace
