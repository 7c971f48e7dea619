//! What the environment says.

use std::env;

pub struct Config {
    /// `DATABASE_URL`.
    pub database_url: String,
    /// `SHOP_CURRENCY`, otherwise EUR.
    pub currency: String,
    /// `SHOP_ADDR`, otherwise 127.0.0.1:3000.
    pub address: String,
}

impl Config {
    pub fn from_env() -> Result<Self, String> {
        Ok(Self {
            database_url: env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set".to_owned())?,
            currency: env::var("SHOP_CURRENCY").unwrap_or_else(|_| "EUR".to_owned()),
            address: env::var("SHOP_ADDR").unwrap_or_else(|_| "127.0.0.1:3000".to_owned()),
        })
    }
}
