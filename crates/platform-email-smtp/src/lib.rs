//! The EmailSender port over SMTP, and as files for development
