//! The configuration of Aftercommit: environment variables and, below them, `aftercommit.toml`.
//!
//! [`Settings::load`] reads the process, [`Settings::load_with`] a command line above it, and [`Settings::from_sources`] reads anything. Both report every problem at once,
//! one line each with key, problem and accepted form, and never repeat a value that may be a secret. What exists is
//! said by one table, which [`reference()`] prints.

mod admin;
mod amqp;
mod amqp_certificates;
mod amqp_url;
mod data_dir;
mod database;
mod duration;
mod effective;
mod error;
#[cfg(feature = "failpoints")]
mod failpoints;
mod history;
mod host;
mod http;
mod key;
mod layers;
mod load;
mod log;
mod login;
mod mail;
mod names;
mod pem_file;
mod postgres;
mod postgres_url;
mod private_file;
mod product;
mod reading;
mod reference;
mod relay;
mod role;
mod s3_url;
mod sealing;
mod settings;
mod shutdown;
mod sqlite;
mod storage;
mod suggestion;
mod table;
mod temporal;
mod topic_name;
mod topics;
mod webhooks;
mod worker;

pub use admin::AdminSettings;
pub use amqp::AmqpSettings;
pub use amqp_certificates::{AmqpCertificates, AmqpClientFiles, AmqpClientPem, AmqpPem};
pub use amqp_url::{AmqpSecurity, AmqpServer};
pub use data_dir::DataDir;
pub use database::Database;
pub use effective::{EffectiveValue, Rendering};
pub use error::{CONFIG_EXIT_CODE, ConfigError, ConfigErrors};
#[cfg(feature = "failpoints")]
pub use failpoints::FAILPOINTS_VARIABLE;
pub use history::{HistorySettings, Successes};
pub use log::{LogFormat, LogSettings};
pub use mail::{MailSettings, SmtpCredentials, SmtpSecurity, SmtpSettings};
pub use postgres::PostgresSettings;
pub use postgres_url::{PostgresUrl, SslMode};
pub use product::ReferenceSettings;
pub use reference::{ReferenceEntry, reference, reference_entries};
pub use relay::RelaySettings;
pub use role::Role;
pub use sealing::{SEALING_KEY_LENGTH, SealingKey, SealingSettings, read_sealing_keys};
pub use settings::Settings;
pub use shutdown::ShutdownSettings;
pub use sqlite::{SqliteSettings, Synchronous};
pub use storage::{S3Settings, Storage};
pub use temporal::{TemporalClientFiles, TemporalPem, TemporalSettings, TemporalTls};
pub use topics::{TopicSettings, TopicsSettings};
pub use webhooks::WebhookSettings;
pub use worker::WorkerSettings;
