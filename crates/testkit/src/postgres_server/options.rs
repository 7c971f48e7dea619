//! How a server of a test's own is set up.

/// Options of [`PostgresServer::start`](super::PostgresServer::start).
///
/// Without any, the server keeps what it commits like a production server does (`fsync` and `synchronous_commit` on),
/// takes 200 connections, and uses 64 MiB of shared buffers.
#[derive(Debug, Clone)]
pub struct PostgresOptions {
    pub(super) settings: Vec<(String, String)>,
    pub(super) files: Vec<(String, String)>,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            settings: Vec::new(),
            files: Vec::new(),
        }
        .setting("max_connections", "500")
        .setting("shared_buffers", "64MB")
        // A file rather than /dev/shm, where a killed server would leave its segments.
        .setting("dynamic_shared_memory_type", "mmap")
        .setting("log_line_prefix", "%m [%p] %a ")
    }
}

impl PostgresOptions {
    /// Does not wait for the disk: faster, and what was committed still survives [`kill9`](super::PostgresServer::kill9),
    /// but not a power failure, which no test has.
    pub fn without_fsync(self) -> Self {
        self.setting("fsync", "off").setting("full_page_writes", "off")
    }

    /// A line of `postgresql.conf`. The value is quoted here; a later setting of the same name wins.
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A file in the data directory that only the server can read, such as the key for `ssl_key_file`. An existing one
    /// is replaced (`pg_hba.conf`, for example).
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    pub(super) fn config_lines(&self) -> String {
        let lines = self.settings.iter();
        let lines = lines.map(|(name, value)| format!("{name} = '{}'", value.replace('\'', "''")));
        lines.collect::<Vec<_>>().join("\n") + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quote_in_a_setting_stays_inside_it() {
        let lines = PostgresOptions::default().setting("search_path", "it's").config_lines();
        assert!(lines.ends_with("search_path = 'it''s'\n"), "{lines}");
    }
}
