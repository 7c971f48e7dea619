//! The [`WebhookSender`](aftercommit_domain::effects::WebhookSender) port over HTTP/1.1.
//!
//! Where it sends is what a customer wrote, and what answers may be anything, so everything is checked and bounded:
//!
//! - A name is looked up once; every address it has is checked, and the connection goes to one of those. There is no second
//!   look-up that could say something else.
//! - A redirect is an answer like any other. Proxies of the environment are not asked.
//! - An answer is read up to a bound and never decompressed. Connecting has a deadline, and so has the whole.
//!
//! It speaks HTTP through `hyper` directly, one connection for each message: a client with a pool, redirects and proxies
//! would have to be talked out of all of them.

#![warn(missing_docs)]

mod answer;
mod connection;
mod http_webhook_sender;
mod metered;
mod name_lookup;
mod tls;

pub use answer::{MAX_ANSWER, MAX_ANSWER_BODY};
pub use http_webhook_sender::{HttpWebhookSender, WebhookTimeouts};
pub use name_lookup::{NameLookup, SystemNameLookup};
pub use tls::NoAuthorities;
