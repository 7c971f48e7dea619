use aftercommit_domain::contract::Payload;
use serde::{Deserialize, Serialize};

struct Invoice;

#[derive(Serialize, Deserialize, Payload)]
enum Reason {
    Refunded { amount: i64 },
    Reversed(String),
    Replaced(#[serde(skip)] Option<Invoice>),
}

#[derive(Payload)]
union Bits {
    whole: u32,
    half: u16,
}

fn main() {}
