//! Drawing an input from random bytes.

use arbitrary::Unstructured;

/// Random bytes that an input is drawn from. When they are used up, every choice is the first one.
pub type Drawn<'a> = Unstructured<'a>;

/// Makes an input. `Err` when the bytes do not suffice for one.
pub type Draw = fn(&mut Drawn<'_>) -> arbitrary::Result<Vec<u8>>;
