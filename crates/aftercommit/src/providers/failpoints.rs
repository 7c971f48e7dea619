//! The points that the adapters of this build pass.

/// Their names; one stands for the same step in several of them.
pub(crate) const OF_ADAPTERS: &[&[&str]] = &[
    #[cfg(feature = "sqlite")]
    aftercommit_platform_embedded_sqlite::failpoints::POINTS,
    #[cfg(feature = "postgres")]
    aftercommit_platform_db_postgres::failpoints::POINTS,
    #[cfg(feature = "postgres")]
    aftercommit_platform_queue_postgres::failpoints::POINTS,
    #[cfg(feature = "amqp")]
    aftercommit_platform_queue_amqp::failpoints::POINTS,
    #[cfg(feature = "object-storage")]
    aftercommit_platform_storage_object::failpoints::POINTS,
];
